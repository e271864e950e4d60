"""What providers tell becomes facts, and facts have consequences: suppression, consent, events that journeys wait for, answers.

Everything of one call happens in one transaction: once it is answered, all of it holds; if it fails, the provider sends all of it again.
People are locked first, all at once and in order, as in every other transaction that changes something of theirs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import get_args
from uuid import UUID

from activities.hearing import hear
from channels.inbound import Told
from journeys.language.errors import Invalid
from storage import apps, consents, events, facts, one_time_codes, provider_events, reputations, suppressions
from storage.consents import ALL_MARKETING, EVERY, ConsentRecord
from storage.database import Connection
from storage.endpoints import normalised
from storage.facts import Fact, Kind
from storage.ids import address_hash
from storage.provider_events import ProviderEvent, Spoken
from storage.reputations import Heard
from storage.suppressions import Reason

SOFT_BOUNCES, SOFT_WITHIN = 5, timedelta(days=7)
# What else shows that the provider has the message.
_HAS_IT: dict[str, Kind] = {"delayed": "accepted", "refused": "accepted"}
_MOST_PARKED = 500


@dataclass(frozen=True)
class Source:
    """The account that was called."""

    app: str
    channel: str
    name: str
    provider: str

    @property
    def account(self) -> str:
        return f"{self.channel}/{self.name}"

    @property
    def numbering(self) -> str:
        """Within which event ids are unique; an account may be moved to another provider under its name."""
        return f"{self.provider}:{self.account}"


async def take_in(connection: Connection, source: Source, told: Sequence[Told]) -> int:
    """Write down what is new of a call and do what follows from it; return how many events were new. Raises Contended.

    Afterwards wake the relay and the lane of direct messages: events and answers may wait for them.
    """
    first: dict[str, Told] = {}
    for each in told:
        first.setdefault(each.event_id, each)
    fresh = await provider_events.claim(connection, source.app, source.numbering, list(first))
    new = [each for event_id, each in first.items() if event_id in fresh]
    if not new:
        return 0
    spoken, by_ref = await provider_events.spoken_of(
        connection,
        source.app,
        {source.provider},
        {each.message_id for each in new if each.message_id},
        {each.ref for each in new if each.ref},
    )
    kept = [_event(source, each, spoken, by_ref) for each in new]
    await _lock(connection, source.app, source.channel, kept)
    replies = [(event, each) for event, each in zip(kept, new, strict=True) if each.kind == "replied"]
    in_order = sorted(replies, key=lambda reply: reply[0].occurred_at)
    heard = {event.event_id: await hear(connection, source.app, source.channel, event, each) for event, each in in_order}
    await provider_events.keep(connection, source.app, [heard.get(event.event_id, event) for event in kept])
    await _apply(connection, source.app, source.channel, source.provider, [event for event in kept if event.kind != "replied"])
    await reputations.count(connection, source.app, source.channel, _heard(kept, spoken))
    return len(new)


async def set_aside(connection: Connection, source: Source, told: Told, failure: str) -> None:
    """Keep an event that could not be taken in, with why: its neighbours went on. Nothing follows from it."""
    if await provider_events.claim(connection, source.app, source.numbering, [told.event_id]):
        await provider_events.keep(connection, source.app, [replace(_event(source, told, {}, {}), is_parked=False, failure=failure)])


async def match_parked(connection: Connection) -> int:
    """Take in events whose message has become known since they came; return how many. Raises Contended."""
    found = await provider_events.found_since(connection, _MOST_PARKED)
    counted: list[tuple[str, str, list[Heard]]] = []
    for app, channel, provider in sorted({(app, event.account.partition("/")[0], event.provider) for app, event in found}):
        waiting = [event for of, event in found if (of, event.account.partition("/")[0], event.provider) == (app, channel, provider)]
        spoken, _ = await provider_events.spoken_of(
            connection, app, {provider}, {each.message_id for each in waiting if each.message_id}, set()
        )
        matched = [_with(event, ours) for event in waiting if event.message_id and (ours := spoken.get(event.message_id))]
        await _lock(connection, app, channel, matched)
        await provider_events.match(connection, app, matched)
        await _apply(connection, app, channel, provider, matched)
        counted.append((app, channel, _heard(matched, spoken)))
    for app, channel, heard in counted:
        await reputations.count(connection, app, channel, heard)
    await provider_events.let_go(connection)
    return len(found)


def _heard(kept: Sequence[ProviderEvent], spoken: Mapping[UUID, Spoken]) -> list[Heard]:
    """What counts for the standing of the account: what became of its marketing mails."""
    return [
        Heard(
            account=event.account.partition("/")[2],
            occurred_at=event.occurred_at,
            is_complaint=event.kind == "complained",
            is_hard=event.kind == "bounced" and event.detail.get("hard") is True,
        )
        for event in kept
        if event.kind in {"delivered", "bounced", "complained"}
        and event.account.startswith("email/")
        and event.message_id is not None
        and event.message_id in spoken
        and spoken[event.message_id].message_class == "marketing"
    ]


def _event(source: Source, told: Told, spoken: Mapping[UUID, Spoken], by_ref: Mapping[str, UUID]) -> ProviderEvent:
    ours = next((spoken[id_] for id_ in (told.message_id, by_ref.get(told.ref)) if id_ and id_ in spoken), None)
    event = ProviderEvent(
        account=source.account,
        provider=source.provider,
        event_id=told.event_id,
        kind=told.kind,
        word=told.word,
        occurred_at=told.occurred_at,
        ref=told.ref or None,
        address_hash=_digest(source, told.address),
        detail=told.detail,
        raw=told.raw,
        is_parked=told.kind not in {"replied", "unknown"} and bool(told.ref),
    )
    return _with(event, ours)


def _with(event: ProviderEvent, ours: Spoken | None) -> ProviderEvent:
    if ours is None:
        return event
    digest = ours.address_hash or event.address_hash
    return replace(event, message_id=ours.id, user_id=ours.user_id, address_hash=digest, is_parked=False)


def _digest(source: Source, address: str) -> bytes | None:
    try:
        return address_hash(source.app, source.channel, normalised(source.channel, address)) if address else None
    except Invalid:
        return None


async def _lock(connection: Connection, app: str, channel: str, kept: Iterable[ProviderEvent]) -> None:
    """Lock whoever something follows for: whose stream, consent or address it is."""
    touching = [event for event in kept if event.kind not in {"accepted", "delivered", "delayed", "refused", "unknown"}]
    hashes = {event.address_hash for event in touching if event.address_hash}
    owners = await provider_events.owners(connection, app, channel, hashes)
    people = {user for users in owners.values() for user in users} | {event.user_id for event in touching if event.user_id is not None}
    await events.lock_now(connection, app, people)


async def _apply(connection: Connection, app: str, channel: str, provider: str, kept: Sequence[ProviderEvent]) -> None:
    if bounced := [event.message_id for event in kept if event.message_id is not None and event.kind == "bounced"]:
        await one_time_codes.bounced(connection, app, bounced)
    known = [(event.message_id, _fact(event)) for event in kept if event.message_id is not None]
    await facts.record_all(connection, app, [(message_id, fact) for message_id, fact in known if fact is not None])
    await _suppress(connection, app, channel, provider, kept)
    await _let_back(connection, app, channel, provider, kept)
    for event in kept:
        if event.kind == "unsubscribed" and event.message_id is not None:
            await _withdraw(connection, app, channel, event)


def _fact(event: ProviderEvent) -> Fact | None:
    kind = _HAS_IT.get(event.kind) or next((kind for kind in get_args(Kind) if kind == event.kind), None)
    if kind is None:
        return None
    return Fact(
        kind, event.occurred_at, f"{event.provider}:{event.account}/{event.event_id}", event.detail.get("machine") is True, event.detail
    )


async def _suppress(connection: Connection, app: str, channel: str, provider: str, kept: Sequence[ProviderEvent]) -> None:
    """At once for hard bounces and complaints about our own messages; for soft bounces by the app's policy."""
    ours = [event for event in kept if event.message_id is not None and event.address_hash is not None]
    reasons: dict[bytes, Reason] = {
        event.address_hash: "bounce"
        for event in ours
        if event.address_hash and event.kind == "bounced" and event.detail.get("hard") is True
    }
    soft = {event.address_hash for event in ours if event.address_hash and event.kind == "bounced" and event.detail.get("hard") is not True}
    reasons |= dict.fromkeys(await _too_soft(connection, app, soft - set(reasons)), "bounce")
    reasons |= {event.address_hash: "complaint" for event in ours if event.address_hash and event.kind == "complained"}
    if reasons:
        await suppressions.suppress_all(connection, app, channel, reasons, source=provider)


async def _let_back(connection: Connection, app: str, channel: str, provider: str, kept: Sequence[ProviderEvent]) -> None:
    """What the provider had told of the address before holds no more. What people said stays: they say themselves that they come back."""
    for event in kept:
        if event.kind == "resubscribed" and event.address_hash is not None and event.detail.get("reach") == "channel":
            await suppressions.take_back(connection, app, channel, event.address_hash, source=provider, before=event.occurred_at)


async def _too_soft(connection: Connection, app: str, addresses: set[bytes]) -> set[bytes]:
    if not addresses:
        return set()
    policy = (await apps.settings(connection, app)).get("soft_bounces") or {}
    most, days = policy.get("messages", SOFT_BOUNCES), policy.get("days", SOFT_WITHIN.days)
    bounced = await provider_events.soft_bounces(connection, app, addresses, timedelta(days=days))
    return {address for address, messages in bounced.items() if messages >= most}


async def _withdraw(connection: Connection, app: str, channel: str, event: ProviderEvent) -> None:
    """For everybody who has the address, whoever is meant: as much as the provider stops, all of it where that is not said."""
    topic = ALL_MARKETING if event.detail.get("reach") == "marketing" else EVERY
    owners = await provider_events.owners(connection, app, channel, {event.address_hash} if event.address_hash else set())
    people = {user for users in owners.values() for user in users} or ({event.user_id} if event.user_id is not None else set())
    now = await events.lock_now(connection, app, people)
    for person in sorted(set(now.values())):
        entry = ConsentRecord(channel, topic, "withdrawn", f"provider:{event.provider}", {"event_id": event.event_id})
        await consents.record(connection, app, person, entry)
