"""Rendering and handing over what is claimed: shared by journeys and direct sends. Knows the ledger's states, not its statements."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, assert_never

from activities.pacing import SLOT_LASTS
from activities.routes import Wanted
from activities.sources import SourceAway
from activities.verdicts import Waits, repeat_wait
from activities.ways import Handed, Held, Turn, Way
from activities.zones import PHONE_CHANNELS, country_of
from channels.base import Ambiguous, Content, Cost, NotSent, Outgoing, Receipt, Rejected, Renumbered, Watch
from channels.push.platform import providers_for
from channels.render import RenderFailed
from channels.whatsapp.letter import fitting
from journeys.language.errors import Unavailable
from journeys.language.messages import MessageClass
from storage.messages import Claim, Note, Settlement


@dataclass(frozen=True)
class Timing:
    """How long a try may take. A send is shorter than its claim, and the claim shorter than the activity's timeout.

    A local try is waited for only `local_s`; what it has begun goes on in the process, because cutting it would leave it unconfirmed.
    """

    local_s: float = 1.5
    send_s: float = 20.0
    claim_s: float = 30.0
    endpoint_wait: timedelta = timedelta(minutes=1)
    unknown_wait: timedelta = timedelta(minutes=2)
    repeat_wait: timedelta = timedelta(seconds=30)
    """Of an unconfirmed message that a repeat cannot double, because its provider keeps our id."""
    patience: timedelta = timedelta(hours=72)
    held_for: timedelta = timedelta(hours=6)
    """Of a journey's message while sending is paused: resuming wakes it, so this is only for the case that it does not."""
    direct_held_for: timedelta = timedelta(minutes=5)

    def unknown_for(self, message_class: str) -> timedelta:
        """How long an unconfirmed message stays so: transactional goes out once more, marketing is given up."""
        return self.unknown_wait if message_class == "transactional" else self.patience

    def waits(self, planned: timedelta) -> Waits:
        """The same for the verdict of a step."""
        return Waits(planned, self.unknown_wait, self.repeat_wait)

    @property
    def of_chunks(self) -> "Timing":
        """Of what is claimed by hundreds and leaves one after the other: four times as many have four times as long."""
        return replace(self, send_s=4 * self.send_s, claim_s=4 * self.claim_s)

    @property
    def claim_for(self) -> timedelta:
        return timedelta(seconds=self.claim_s)


class Renders(Protocol):
    """What is asked of channels.render.Renderer."""

    async def render(
        self, template_name: str, version: int, files: Mapping[str, str], channel: str, variables: Mapping[str, Any], /
    ) -> Content: ...


Compose = Callable[[], Awaitable[Content]]
_TOGETHER = 50
"""So many of a chunk are rendered at once, and leave at once where the account takes many."""


@dataclass(frozen=True)
class Parcel:
    """One claimed row with all that its send needs. `began` and `deadline` are on the monotonic clock, taken before the claim."""

    claim: Claim
    app: str
    address: str
    message_class: MessageClass
    topic: str | None
    compose: Compose
    began: float
    deadline: float
    unknown_until: timedelta
    repeat_wait: timedelta
    unsubscribe_url: str | None = None
    device: Mapping[str, Any] | None = None
    country: str | None = None
    """What the person's attributes say; a phone number says its own."""
    provider: str | None = None
    """Of the accounts only those of this name or provider."""
    may_answer: bool = False
    """WhatsApp's window is open: a free text may leave."""

    def moment(self) -> datetime:
        """The database's clock, as far as we can tell without asking."""
        return self.claim.claimed_at + timedelta(seconds=time.monotonic() - self.began)


@dataclass(frozen=True)
class Ended:
    """How one parcel's try ended: what to settle, and what it says about the address.

    `suppress`: the address is dead (`dead_address`, where it is not the message's own), to a provider that says so since `dead_since`.
    `is_listed`: it is not dead, but on a list of the provider's.
    `moved_to`: it has another one.
    """

    settlement: Settlement
    suppress: bool = False
    is_listed: bool = False
    dead_since: datetime | None = None
    dead_address: str | None = None
    moved_to: str | None = None


async def send(way: Way, parcel: Parcel) -> Ended:
    """Render and hand over one parcel. Never raises but for cancellation: every end is a settlement."""
    content = await _composed(parcel)
    if isinstance(content, Ended):
        return content
    try:
        handed = await way.hand_over(outgoing_of(parcel, content), wanted_of(way, parcel), turn_of(way, parcel))
    except Unavailable as away:
        return Ended(planned_again(parcel, "not_sent", backoff(parcel.claim.epoch), str(away)))
    return ended_of(parcel, handed.end, settlement_of(parcel, handed))


async def _composed(parcel: Parcel) -> Content | Ended:
    """What it says, or how it ended because nothing could be made."""
    try:
        return fitting(await parcel.compose(), is_open=parcel.may_answer)
    except RenderFailed as failed:
        return Ended(never_more(parcel.claim, Settlement(parcel.claim.id, parcel.claim.epoch, "skipped", failed.code)))
    except SourceAway as away:
        return Ended(planned_again(parcel, f"source_away:{away.name}", backoff(parcel.claim.epoch), str(away)))
    except Unavailable as away:
        return Ended(planned_again(parcel, "not_sent", backoff(parcel.claim.epoch), str(away)))


async def send_all(way: Way, parcels: Sequence[Parcel], watch: Watch) -> list[Ended]:
    """Render and hand over many of one class, one end each. `watch` knows them by their places here. Never raises but for cancellation.

    Some after the others: whatever else waits in this process has its turn between.
    """
    ended: list[Ended] = []
    for first in range(0, len(parcels), _TOGETHER):
        part = parcels[first : first + _TOGETHER]
        ended += await _send_together(way, part, Renumbered(range(first, first + len(part)), watch))
    return ended


async def _send_together(way: Way, parcels: Sequence[Parcel], watch: Watch) -> list[Ended]:
    # At once, so that what several look up outside is asked once.
    composed = dict(enumerate(await asyncio.gather(*map(_composed, parcels))))
    ends = {place: each for place, each in composed.items() if isinstance(each, Ended)}
    made = {place: each for place, each in composed.items() if isinstance(each, Content)}
    if made:
        left = {place: parcels[place] for place in made}
        handed = await _hand_over(way, left, made, Renumbered(list(made), watch))
        ends |= {place: _end(left[place], each) for place, each in zip(made, handed, strict=True)}
    return [ends[place] for place in range(len(parcels))]


async def _hand_over(way: Way, parcels: Mapping[int, Parcel], made: Mapping[int, Content], watch: Watch) -> Sequence[Handed | Unavailable]:
    outgoings = [outgoing_of(parcel, made[place]) for place, parcel in parcels.items()]
    wanted = [wanted_of(way, parcel) for parcel in parcels.values()]
    turns = [turn_of(way, parcel) for parcel in parcels.values()]
    try:
        return await way.hand_over_all(outgoings, wanted, turns, watch)
    except Unavailable as away:
        return [away] * len(outgoings)


def _end(parcel: Parcel, handed: Handed | Unavailable) -> Ended:
    if isinstance(handed, Unavailable):
        return Ended(planned_again(parcel, "not_sent", backoff(parcel.claim.epoch), str(handed)))
    return ended_of(parcel, handed.end, settlement_of(parcel, handed))


def ended_of(parcel: Parcel, end: object, settlement: Settlement) -> Ended:
    match end:
        case Rejected():
            dead_since = end.dead_since or parcel.claim.claimed_at
            return Ended(settlement, end.suppress, end.is_listed, dead_since, end.address)
        case Receipt():
            return Ended(settlement, moved_to=end.moved_to)
        case _:
            return Ended(settlement)


def wanted_of(way: Way, parcel: Parcel) -> Wanted:
    country = country_of(parcel.address, {}) if way.channel in PHONE_CHANNELS else parcel.country
    reached_by = providers_for(parcel.device or {}, parcel.address) if way.channel == "push" and way.has_accounts else ()
    return Wanted(str(parcel.claim.id), parcel.message_class, country, parcel.provider, reached_by)


def turn_of(way: Way, parcel: Parcel) -> Turn:
    claim = parcel.claim
    has_slot = claim.slot_at is not None and timedelta() <= parcel.moment() - claim.slot_at < SLOT_LASTS

    async def note(account: str, repeats_for: timedelta | None) -> bool:
        return way.traffic is None or await way.traffic.note(parcel.app, Note(claim.id, claim.epoch, account, repeats_for))

    is_kept = claim.repeat_until is not None and claim.repeat_until > parcel.moment() and not claim.maybe_doubled
    return Turn(note, has_slot=has_slot, is_bound=claim.may_have_left, is_kept=is_kept, only=claim.account)


def settlement_of(parcel: Parcel, handed: Handed) -> Settlement:
    """The ledger's word for how it ended."""
    claim, door, end = parcel.claim, handed.door, handed.end
    provider = door.adapter.name if door else None
    account = door.key.account or None if door else None
    match end:
        case Receipt(ref):
            sent = Settlement(claim.id, claim.epoch, "sent", answer=end.answer, ref=ref, provider=provider, account=account)
            return _priced(sent, end.cost)
        case Rejected():
            refused = Settlement(claim.id, claim.epoch, "rejected", "rejected", end.answer, provider=provider, account=account)
            return never_more(claim, refused)
        case Ambiguous():
            unknown = Settlement(claim.id, claim.epoch, "unknown", "unconfirmed", end.answer, provider=provider, account=account)
            return _priced(_repeatable(parcel, unknown, handed.repeats_for if end.may_repeat else None), end.cost)
        case NotSent():
            planned = planned_again(parcel, "not_sent", backoff(claim.epoch, handed.wait_s), end.answer)
            return replace(planned, provider=provider, account=account)
        case Held(reason, wait_s, slot_at):
            wait = timedelta(seconds=wait_s) if slot_at else backoff(0, wait_s)
            return replace(planned_again(parcel, reason, wait), slot_at=slot_at, due_at=slot_at or parcel.moment() + wait)
    assert_never(end)


def _repeatable(parcel: Parcel, unknown: Settlement, repeats_for: timedelta | None) -> Settlement:
    """When somebody must look at it again, and until when a repeat cannot double."""
    claim, now = parcel.claim, parcel.moment()
    until = (claim.repeat_until or claim.claimed_at + repeats_for) if repeats_for is not None else None
    wait = repeat_wait(parcel.repeat_wait, claim.epoch) if until is not None and until > now else parcel.unknown_until
    return replace(unknown, due_at=now + wait, repeat_until=until)


def never_more(claim: Claim, settlement: Settlement) -> Settlement:
    """The end of a message that has not left; of one that may have left before, nobody knows whether it did."""
    return replace(settlement, state="given_up", reason="unconfirmed") if claim.may_have_left else settlement


def _priced(settlement: Settlement, cost: Cost | None) -> Settlement:
    return settlement if cost is None else replace(settlement, units=cost.units, price=cost.price, currency=cost.currency)


def planned_again(parcel: Parcel, reason: str, wait: timedelta, answer: str | None = None) -> Settlement:
    claim = parcel.claim
    return Settlement(claim.id, claim.epoch, "planned", reason, answer, due_at=parcel.moment() + wait, repeat_until=claim.repeat_until)


def outgoing_of(parcel: Parcel, content: Content) -> Outgoing:
    return Outgoing(
        message_id=parcel.claim.id,
        app=parcel.app,
        address=parcel.address,
        content=content,
        message_class=parcel.message_class,
        topic=parcel.topic,
        deadline=parcel.deadline,
        unsubscribe_url=parcel.unsubscribe_url,
        device=dict(parcel.device or {}),
    )


def backoff(tries: int, retry_after_s: float | None = None) -> timedelta:
    """2, 4, 8 seconds ... to 10 minutes, with a fifth of jitter; a time that the provider names counts, up to an hour."""
    wait_s = min(2.0 ** min(tries, 10), 600.0) if retry_after_s is None else min(max(retry_after_s, 1.0), 3600.0)
    return timedelta(seconds=wait_s * random.uniform(1.0, 1.2))  # noqa: S311 - spreads load, guards nothing
