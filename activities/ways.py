"""The ways out of one channel: an app's accounts, or the installation's provider, and how a message finds its own among them.

A claimed message goes to the first account that is not away. One that says NotSent has certainly not sent it, which is all that
planning it again relies on; so the next account may have it at once, under the same claim and within the same deadline. Whatever else
is said ends the try: what may have gone out never goes through another account (docs/decisions/0061).
"""

import asyncio
from collections import Counter as Counted
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from prometheus_client import Counter

from activities.breaker import Gate, Outcome
from activities.pacing import Limits
from activities.reputation import STOPS
from activities.routes import Route, Wanted, route, serves
from activities.traffic import Traffic
from channels.base import Adapter, Ambiguous, End, NotSent, Outgoing, Receipt, Rejected, Repeatable, TakesMany, ToReceivers, Watch
from channels.deadline import seconds_left
from channels.in_app.feed import Feed
from channels.sandbox import Sandbox
from journeys.language.errors import Unavailable
from journeys.language.messages import MessageClass
from storage.account_states import AccountKey

_HANDED = Counter("sojourn_handed_over", "Messages handed to an account, by how it answered", ["app", "channel", "account", "end"])
# A slot this near is waited for inside the claim; the wait for a later one costs a claim, and holds nothing.
NEAR_S = 1.0
# Of many at once so many are under way: what dies with a process is no more than these.
SIDE_BY_SIDE = 10
# Less is not worth a new connection: the message is planned again.
_ENOUGH_S = 1.0
# Answers of the same moment name the same time; it is told once.
_SAME_S = 0.25
_NOBODY_SERVES_S = 60.0
_STOPPED_S = 300.0


@dataclass(frozen=True)
class Door(Route):
    """One account as this process uses it."""

    adapter: Adapter = field(kw_only=True)
    gate: Gate = field(kw_only=True)
    key: AccountKey = field(kw_only=True)
    limits: Limits = field(kw_only=True, default=Limits())

    @property
    def has_many_receivers(self) -> bool:
        """No answer tells anything of the account."""
        return isinstance(self.adapter, ToReceivers)

    @property
    def repeats_for(self) -> timedelta | None:
        """How long its provider takes a repeat for the same message; None: never."""
        return self.adapter.repeats_for if isinstance(self.adapter, Repeatable) else None


@dataclass(frozen=True)
class Held:
    """Nobody was asked: no account serves the message, all are away, or its slot is later (`slot_at`, which is its own)."""

    reason: str
    wait_s: float
    slot_at: datetime | None = None


@dataclass(frozen=True)
class Handed:
    """How handing over ended, and who had the last word; `wait_s`: in how long somebody may take it, where that is known."""

    end: Receipt | NotSent | Rejected | Ambiguous | Held
    door: Door | None = None
    wait_s: float | None = None

    @property
    def repeats_for(self) -> timedelta | None:
        return self.door.repeats_for if self.door else None


_STAYS_HERE = frozenset({Sandbox.name, Feed.name})
Note = Callable[[str, timedelta | None], Awaitable[bool]]


@dataclass(frozen=True)
class Turn:
    """What an earlier try left, and how to write down that another account than the first is used.

    `is_bound`: it may have gone out once already, through the account `only` (None: the first of its route), and goes nowhere else.
    `is_kept`: a repeat that cannot double, so long as it is made to that very account. `note` answers False where the claim is no longer
    ours.
    """

    note: Note
    has_slot: bool = False
    is_bound: bool = False
    is_kept: bool = False
    only: str | None = None


@dataclass(frozen=True)
class Way:
    """How messages of one app leave on one channel."""

    app: str
    channel: str
    doors: tuple[Door, ...]
    traffic: Traffic | None = None

    @property
    def keeps_everything(self) -> bool:
        """Nothing leaves the house: every account is a sandbox, or shows what it is given in the app's own feeds."""
        return all(door.adapter.name in _STAYS_HERE for door in self.doors)

    @property
    def has_accounts(self) -> bool:
        """The app has its own; else the one door is the installation's."""
        return bool(self.doors[0].key.account)

    def line(self, message_class: MessageClass, provider: str | None = None) -> Gate:
        """Where local tries stand in line: before the account that is tried first, as far as that is known without an address."""
        doors = self._serving(message_class, provider) or self.doors
        return next((door.gate for door in doors if not door.gate.is_open), doors[0].gate)

    def wait(self, message_class: MessageClass, provider: str | None = None) -> Held | None:
        """Before a claim: None where some account may take a message of this class, else when to come back."""
        serving = self._serving(message_class, provider)
        if not serving:
            return Held("no_account", _NOBODY_SERVES_S)
        if reason := self._marketing_stops(message_class, serving):
            return Held(reason, _STOPPED_S)
        waits = [door.gate.wait_before_claim_s() for door in serving]
        known = [wait_s for wait_s in waits if wait_s is not None]
        return Held("provider_away", min(known)) if len(known) == len(waits) else None

    def _marketing_stops(self, message_class: MessageClass, serving: Sequence[Door]) -> str | None:
        """Every account of the first place is stopped. Those behind do not stand in: they would be stopped next, for the same list."""
        if message_class == "transactional" or self.traffic is None:
            return None
        reasons = [self.traffic.stopped_for(door.key) for door in serving if door.place == serving[0].place]
        return reasons[0] if all(reasons) else None

    async def hand_over(self, outgoing: Outgoing, wanted: Wanted, turn: Turn) -> Handed:
        """Send through the first account that can. Raises Unavailable where Postgres does not answer; then nothing has been sent."""
        if self._is_gone(turn):
            return Handed(Ambiguous("the account that may have sent it is there no more"))
        doors = self._in_order(wanted, turn)
        if not doors:
            return Handed(_nobody(wanted))
        if self.traffic is not None:
            await self.traffic.look(self.app)
        refused: Handed | None = None
        waits: list[Held] = []
        for door in doors:
            handed = await self._through(door, outgoing, wanted, turn, is_first=door is doors[0])
            if isinstance(handed.end, Held):
                waits.append(handed.end)
            elif isinstance(handed.end, NotSent):
                refused = handed
            else:
                return handed
            # Its own rate is no trouble of the account: overflow would spend what another place was chosen to spare.
            waits_for_its_slot = isinstance(handed.end, Held) and handed.end.slot_at is not None
            is_stopped = isinstance(handed.end, Held) and handed.end.reason in STOPS
            # And a receiver that does not answer one account answers no other.
            is_away_itself = isinstance(handed.end, NotSent) and door.has_many_receivers
            if waits_for_its_slot or is_stopped or is_away_itself or seconds_left(outgoing) < _ENOUGH_S:
                break
        return _come_back(refused, waits)

    @property
    def takes_many(self) -> bool:
        """Its one account takes many at once at less than the cost of each, and nothing has to be asked for each of them."""
        return self._plain_door is not None and isinstance(self._plain_door.adapter, TakesMany)

    @property
    def _plain_door(self) -> Door | None:
        door = self.doors[0]
        is_plain = not (door.countries or door.gate.is_open or door.repeats_for) and door.limits.is_unbounded
        return door if len(self.doors) == 1 and is_plain else None

    def only_door(self, wanted: Sequence[Wanted], turns: Sequence[Turn]) -> Door | None:
        """The one account through which all of these go at once, where nothing has to be asked for each of them."""
        door = self._plain_door
        if door is None or any(turn.is_bound for turn in turns):
            return None
        return door if all(serves(door, each.message_class, each.provider) and not each.reached_by for each in wanted) else None

    async def hand_over_all(
        self, outgoings: Sequence[Outgoing], wanted: Sequence[Wanted], turns: Sequence[Turn], watch: Watch
    ) -> list[Handed]:
        """Send many of one class, at once where the account takes many, else side by side.

        Raises Unavailable; then nothing has been sent.
        """
        door = self.only_door(wanted, turns)
        if door is None or not isinstance(door.adapter, TakesMany):
            each = zip(range(len(outgoings)), outgoings, wanted, turns, strict=True)
            places = asyncio.Semaphore(SIDE_BY_SIDE)
            return list(await asyncio.gather(*(self._watched(*one, watch, places) for one in each)))
        if self.traffic is not None:
            await self.traffic.look(self.app)
        if (held := await self._admit(door, outgoings[0], wanted[0], turns[0])) is not None:
            return [Handed(held)] * len(outgoings)
        return await self._all_through(door, door.adapter, outgoings, watch)

    async def _watched(self, place: int, outgoing: Outgoing, wanted: Wanted, turn: Turn, watch: Watch, places: asyncio.Semaphore) -> Handed:
        async with places:
            if not watch.begins(place):
                return Handed(_PAUSED)
            try:
                handed = await self.hand_over(outgoing, wanted, turn)
            except Unavailable as away:
                # The others are under way: what becomes of them must not be lost with this one.
                handed = Handed(NotSent(str(away)))
        watch.ended(place, NotSent("held") if isinstance(handed.end, Held) else handed.end)
        return handed

    async def _all_through(self, door: Door, adapter: TakesMany, outgoings: Sequence[Outgoing], watch: Watch) -> list[Handed]:
        """As when each is sent by itself, an answer ends a row of failures. What failed at the end failed at once: it counts as one."""
        entry = door.gate.enter()
        if isinstance(entry, float):
            return [Handed(Held("provider_away", entry))] * len(outgoings)
        seen, outcome = _Seen(watch), Outcome.UNUSED
        told: list[End] = []
        try:
            ends = await _send_all(adapter, outgoings, seen)
            told = seen.told()
            outcome = _outcome(door, told[-1]) if told else Outcome.UNUSED
        finally:
            was_open, closed_until = door.gate.is_open, door.gate.closed_until
            if any(_outcome(door, end) is Outcome.ANSWERED for end in told):
                door.gate.reopen()
            door.gate.leave(entry, outcome, retry_after_s=max(filter(None, (_closed_s(door, end) for end in told)), default=None))
        for word, number in Counted(map(_word_for, told)).items():
            _HANDED.labels(self.app, self.channel, door.key.account or door.adapter.name, word).inc(number)
        if self.traffic is not None and told:
            await _tell(self.traffic, door, told[-1], opened=door.gate.is_open and not was_open, closed_until=closed_until)
        return [Handed(_PAUSED) if seen.is_held(place) else Handed(end, door) for place, end in enumerate(ends)]

    def _serving(self, message_class: MessageClass, provider: str | None) -> list[Door]:
        found = [door for door in self.doors if serves(door, message_class, provider)]
        return sorted(found, key=lambda door: door.place)

    def _in_order(self, wanted: Wanted, turn: Turn) -> Sequence[Door]:
        doors = route(self.doors, wanted)
        if not turn.is_bound:
            return doors
        same = [door for door in doors if door.key.account == (turn.only or "")]
        if turn.is_kept:
            return [door for door in same if door.repeats_for is not None]
        return same if turn.only else same or doors[:1]

    def _is_gone(self, turn: Turn) -> bool:
        """Its repeat could double, and the account that may have had it was taken away: no other one may have it."""
        may_double = turn.is_bound and not turn.is_kept
        return may_double and bool(turn.only) and all(door.key.account != turn.only for door in self.doors)

    async def _through(self, door: Door, outgoing: Outgoing, wanted: Wanted, turn: Turn, *, is_first: bool) -> Handed:
        held = await self._admit(door, outgoing, wanted, turn)
        if held is not None:
            return Handed(held)
        if (not is_first or door.repeats_for is not None) and not await turn.note(door.key.account, door.repeats_for):
            return Handed(NotSent("the claim ran out before anything was sent"), door)
        entry = door.gate.enter()
        if isinstance(entry, float):
            return Handed(Held("provider_away", entry))
        outcome, end = Outcome.UNUSED, None
        try:
            if entry.is_probe and self.traffic is not None and not await self.traffic.may_probe(door.key):
                return Handed(Held("provider_away", door.gate.bounds.crowded_wait_s))
            if seconds_left(outgoing) <= 0:
                # We were too slow ourselves, and asked the account nothing: a worker that is overloaded must not find every provider away.
                return Handed(NotSent("the claim's time was over before anything was sent"), door)
            end = await _send(door, outgoing)
            outcome = _outcome(door, end)
        finally:
            was_open, closed_until = door.gate.is_open, door.gate.closed_until
            door.gate.leave(entry, outcome, retry_after_s=_closed_s(door, end))
        _HANDED.labels(self.app, self.channel, door.key.account or door.adapter.name, _word_for(end)).inc()
        if self.traffic is not None:
            await _tell(self.traffic, door, end, opened=door.gate.is_open and (entry.is_probe or not was_open), closed_until=closed_until)
        return Handed(end, door)

    async def _admit(self, door: Door, outgoing: Outgoing, wanted: Wanted, turn: Turn) -> Held | None:
        """Stopped, shut, or no slot yet? A slot that is near is waited for here."""
        if reason := self._marketing_stops(wanted.message_class, [door]):
            return Held(reason, _STOPPED_S)
        if self.traffic is not None:
            self.traffic.apply(door.key, door.gate)
        wait_s = door.gate.wait_s()
        if wait_s is not None:
            return Held("provider_away", wait_s)
        if self.traffic is None or door.limits.is_unbounded or turn.has_slot:
            return None
        slot = await self.traffic.slot(door.key, door.limits, wanted.message_class)
        if not slot.is_booked:
            return Held("provider_away", slot.wait_s)
        if slot.wait_s > min(NEAR_S, seconds_left(outgoing) - _ENOUGH_S):
            return Held("rate_limited", slot.wait_s, slot.at)
        await asyncio.sleep(slot.wait_s)
        return None


def _nobody(wanted: Wanted) -> Held | Rejected:
    """A device of another kind is never served; an account for a country or a class may still be set."""
    if wanted.reached_by:
        return Rejected(f"no account reaches this device: it needs {' or '.join(wanted.reached_by)}")
    return Held("no_account", _NOBODY_SERVES_S)


_PAUSED = Held("paused", 1.0)


@dataclass
class _Seen:
    """Remembers what has begun to leave, what became of it, and from where on nothing might."""

    watch: Watch
    begun: set[int] = field(default_factory=set)
    ends: dict[int, End] = field(default_factory=dict)
    is_stopped: bool = False

    def begins(self, place: int) -> bool:
        if self.watch.begins(place):
            self.begun.add(place)
            return True
        self.is_stopped = True
        return False

    def is_held(self, place: int) -> bool:
        """It did not leave because sending was stopped."""
        return self.is_stopped and place not in self.begun and isinstance(self.ends.get(place), NotSent)

    def told(self) -> list[End]:
        """What became of them, in the order in which it was known; not of those that are held."""
        return [end for place, end in self.ends.items() if not self.is_held(place)]

    def ended(self, place: int, end: End) -> None:
        self.ends[place] = end
        self.watch.ended(place, end)


async def _send_all(adapter: TakesMany, outgoings: Sequence[Outgoing], seen: _Seen) -> list[End]:
    try:
        return await adapter.send_all(outgoings, seen)
    except Exception as error:  # noqa: BLE001 - an adapter with a bug may have sent what had begun: those rows say so
        for place in range(len(outgoings)):
            if place not in seen.ends:
                words = f"the adapter failed: {type(error).__name__}"
                seen.ended(place, Ambiguous(words) if place in seen.begun else NotSent(words))
        return [seen.ends[place] for place in range(len(outgoings))]


async def _send(door: Door, outgoing: Outgoing) -> Receipt | NotSent | Rejected | Ambiguous:
    try:
        async with asyncio.timeout(seconds_left(outgoing)):
            return await door.adapter.send(outgoing)
    except (NotSent, Rejected, Ambiguous) as end:
        return end
    except TimeoutError:
        return Ambiguous("no answer in time")
    except Exception as error:  # noqa: BLE001 - an adapter with a bug may have sent: the row says so, and the other rows go on
        return Ambiguous(f"the adapter failed: {type(error).__name__}")


def _outcome(door: Door, end: object) -> Outcome:
    """What the answer says of the provider: nothing where it is only one receiver's."""
    if door.has_many_receivers:
        return Outcome.UNUSED
    return Outcome.FAILED if isinstance(end, NotSent | Ambiguous) else Outcome.ANSWERED


def _closed_s(door: Door, end: object) -> float | None:
    """For how long the provider closes the account; a receiver's wish binds only its own message."""
    return end.retry_after_s if isinstance(end, NotSent) and not door.has_many_receivers else None


async def _tell(traffic: Traffic, door: Door, end: Receipt | NotSent | Rejected | Ambiguous, *, opened: bool, closed_until: float) -> None:
    """Let the other workers know what this answer says of the account."""
    gate = door.gate
    if door.has_many_receivers:
        return
    if isinstance(end, Receipt | Rejected):
        await traffic.say_back(door.key)
    elif opened:
        await traffic.say_away(door.key, gate.opens_at - gate.clock(), end.answer)
    if gate.closed_until > closed_until + _SAME_S:
        await traffic.say_closed(door.key, gate.closed_until - gate.clock())
    if isinstance(end, NotSent) and end.is_throttle and door.limits.per_second is not None:
        await traffic.say_slowed(door.key)


def _word_for(end: Receipt | NotSent | Rejected | Ambiguous) -> str:
    match end:
        case Receipt():
            return "sent"
        case NotSent():
            return "not_sent"
        case Rejected():
            return "rejected"
        case Ambiguous():
            return "unconfirmed"
    assert_never(end)


def _come_back(refused: Handed | None, waits: Sequence[Held]) -> Handed:
    """Nobody took it: when to come back. Its own slot comes before another account's recovery."""
    first = min(waits, key=lambda held: (held.slot_at is None, held.wait_s), default=None)
    if refused is None:
        assert first is not None
        return Handed(first)
    assert isinstance(refused.end, NotSent)
    assert refused.door is not None
    if refused.end.retry_after_s is None:
        return refused
    named_s = min(refused.end.retry_after_s, refused.door.gate.bounds.longest_named_s)
    return replace(refused, wait_s=named_s if first is None else min(named_s, first.wait_s))
