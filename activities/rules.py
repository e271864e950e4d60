"""Whether a message may leave, and if not, why: pure, over what was read under the user's row lock. Every answer is a reason code.

Marketing needs all of it. Transactional skips topics, consent, caps and quiet hours, never suppression, nor a person's word that a
whole channel is closed to us. Journeys and direct sends ask these same functions, one message or fifty at a time.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from channels.whatsapp.letter import window_is_open
from journeys.language.durations import Duration
from journeys.language.messages import Cap
from journeys.language.permitted import ANY_HOUR, Hours, closed_by, next_permitted
from journeys.language.zones import period_began, shifted
from storage.consents import ALL_MARKETING
from storage.standing import Claimed, Consent

NEEDS_CONSENT = frozenset({"sms", "whatsapp", "voice"})
EVERY = "*"


# As storage/subscriptions.py writes it.
_SUBSCRIPTION = re.compile(r'\{"endpoint":"([^"]+)"')


@dataclass(frozen=True)
class Terms:
    """Under which terms a message is sent. `zone` is the person's; `caps` are the app's and the journey's."""

    channel: str
    message_class: Literal["marketing", "transactional"]
    topic: str
    zone: ZoneInfo
    hours: Hours = ANY_HOUR
    caps: Sequence[Cap] = ()
    allowed_recipients: frozenset[str] | None = None
    """Addresses and @domains, lower case; None: everybody."""
    only_answers: bool = False
    """A free text on WhatsApp, with no approved template beside it: only who wrote to us within a day may get it."""


@dataclass(frozen=True)
class Target:
    """Where it would go. No address: there is no endpoint."""

    address: str | None
    address_hash: bytes = b""
    is_active: bool = True


@dataclass(frozen=True)
class Known:
    """What counts against it, as of `now`."""

    now: datetime
    consents: Sequence[Consent] = ()
    suppressed: frozenset[bytes] = frozenset()
    claimed: Sequence[Claimed] = field(default=())
    replied: Mapping[bytes, datetime] = field(default_factory=dict)
    """Address hash -> when it last wrote to us."""


@dataclass(frozen=True)
class Go:
    """Nothing stands against it."""


@dataclass(frozen=True)
class Skip:
    reason: str


@dataclass(frozen=True)
class Defer:
    until: datetime
    reason: str


Ruling = Go | Skip | Defer


def ruling(terms: Terms, target: Target, known: Known) -> Ruling:
    """Judge one target. What forbids comes before what only delays; a cap is asked last, because by then it may have run out."""
    reason = _no_way_there(terms, target, known) or _not_wanted(terms, known) or _window_closed(terms, target, known)
    if reason:
        return Skip(reason)
    if terms.message_class == "transactional":
        return Go()
    return _closed(terms, known.now) or _capped(terms, known) or Go()


def look_back(caps: Sequence[Cap], now: datetime, zone: ZoneInfo) -> datetime | None:
    """From when on claimed messages must be known to judge these caps; None without caps."""
    return min((_window_start(cap, now, zone) for cap in caps), default=None)


def look_at_transactional(caps: Sequence[Cap]) -> bool:
    """Whether some cap counts transactional messages too."""
    return any(cap.counts == "everything" for cap in caps)


def _no_way_there(terms: Terms, target: Target, known: Known) -> str | None:
    if target.address is None:
        return "no_endpoint"
    if not target.is_active:
        return "inactive_endpoint"
    if target.address_hash in known.suppressed:
        return "suppressed"
    return None if _is_allowed(terms.allowed_recipients, target.address) else "not_allowed_here"


def _is_allowed(allowed: frozenset[str] | None, address: str) -> bool:
    if allowed is None:
        return True
    folded = _as_listed(address).lower()
    _, at, domain = folded.rpartition("@")
    return folded in allowed or (bool(at) and f"@{domain}" in allowed)


def _as_listed(address: str) -> str:
    """A browser's subscription is named by its URL, everything else as it is written."""
    found = _SUBSCRIPTION.match(address)
    return found[1] if found else address


def _not_wanted(terms: Terms, known: Known) -> str | None:
    """The whole channel and the topic are two records; neither may be withdrawn, and one must be granted where consent is needed."""
    whole = _newest_word(known.consents, terms.channel, EVERY)
    if whole and whole.stands == "said" and not whole.is_granted:
        return "opted_out"
    if terms.message_class == "transactional":
        return None
    # Leaving all marketing covers every topic, and a later yes to one of them counts again.
    topic = _newest_word(known.consents, terms.channel, terms.topic, ALL_MARKETING)
    if topic and topic.stands == "pending":
        return "not_confirmed"
    if topic and topic.stands == "said" and not topic.is_granted:
        return "unsubscribed"
    is_needed = terms.channel in NEEDS_CONSENT or (topic and topic.stands == "needed")
    has_agreed = any(word and word.is_granted for word in (whole, topic))
    return "no_consent" if is_needed and not has_agreed else None


def _window_closed(terms: Terms, target: Target, known: Known) -> str | None:
    is_open = window_is_open(known.replied.get(target.address_hash), known.now)
    return "window_closed" if terms.only_answers and not is_open else None


def _newest_word(consents: Sequence[Consent], channel: str, *topics: str) -> Consent | None:
    """What was said last, of this channel or of every channel; None when nothing was."""
    said = [each for each in consents if each.topic in topics and each.channel in {channel, EVERY}]
    return max(said, key=lambda each: each.order, default=None)


def _closed(terms: Terms, now: datetime) -> Ruling | None:
    against = closed_by(terms.hours, now, terms.zone)
    if against is None:
        return None
    reason, hours = against
    if hours.then == "skip":
        return Skip(reason)
    until = next_permitted(terms.hours, now, terms.zone)
    return Skip("never_permitted") if until is None else Defer(until, reason)


def _capped(terms: Terms, known: Known) -> Ruling | None:
    caps = [cap for cap in terms.caps if cap.channel in {None, terms.channel} and cap.topic in {None, terms.topic}]
    return Skip("capped") if any(_is_reached(cap, terms, known) for cap in caps) else None


def _is_reached(cap: Cap, terms: Terms, known: Known) -> bool:
    """Of one message to several devices the first claim counts; one that was claimed just when a rolling window began is out of it."""
    start = _window_start(cap, known.now, terms.zone)
    counted = [each for each in known.claimed if _counts(cap, each) and each.at >= start]
    if isinstance(cap.per, Duration):
        counted = [each for each in counted if each.at > start]
    return len(counted) >= cap.at_most


def _counts(cap: Cap, claimed: Claimed) -> bool:
    is_of_class = cap.counts == "everything" or claimed.message_class == "marketing"
    return is_of_class and cap.channel in {None, claimed.channel} and cap.topic in {None, claimed.topic}


def _window_start(cap: Cap, now: datetime, zone: ZoneInfo) -> datetime:
    return shifted(now, -cap.per.timedelta) if isinstance(cap.per, Duration) else period_began(cap.per, now, zone)
