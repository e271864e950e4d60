"""Play a journey on a fake clock: the same interpreter as on Temporal, in a World that only pretends."""

import heapq
import json
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal

from journeys.language import moments
from journeys.language.best_hours import assumed
from journeys.language.conditions import AnyCondition
from journeys.language.describe import condition_words
from journeys.language.durations import BestTime, Duration
from journeys.language.entries import DateEntry, ScheduleEntry
from journeys.language.evaluate import holds, value
from journeys.language.facts import EndpointFact, EventFact, Facts, MessageFact
from journeys.language.journey import Journey
from journeys.language.keys import counts
from journeys.language.messages import Cap, MessageClass
from journeys.language.permitted import Hours, closed_by, next_permitted
from journeys.language.play import Player
from journeys.language.resolving import changes, naming, object_of
from journeys.language.steps import Call, Enter, Moment, Split, Update, Wait, WaitFor
from journeys.language.verdict import CallVerdict, SendVerdict
from journeys.language.walk import all_steps
from journeys.language.world import Errand, Order, Progress, Question, Recall
from journeys.language.zones import period_began, zone_of

MONDAY_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""When rehearsals begin: Monday, 2 March 2026, 12:00 UTC."""

ENTRY = "entry"
BY_HAND = "by hand"
_ONE_WORD, _PHONE, _EMAIL = re.compile(r"[^\s]+"), re.compile(r"\+[0-9][0-9 ().\-/]{4,30}"), re.compile(r"[^\s@]+@[^\s@.]+(\.[^\s@.]+)+")
_ADDRESSES = {"email": _EMAIL, "sms": _PHONE, "whatsapp": _PHONE, "voice": _PHONE}
Hand = Literal["advance", "exit"]
REQUESTED = "requested"

LineKind = Literal["entry", "event", "wait", "sent", "skipped", "done", "end"]
Happening = tuple[Duration, str] | tuple[Duration, str, Mapping[str, Any]]


@dataclass(frozen=True)
class Person:
    """Who is rehearsed. `channels` are those they can be reached on; `refuses` the channels that they have opted out of."""

    user_id: str = "somebody"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    timezone: str = "UTC"
    channels: tuple[str, ...] = ("email", "sms", "push", "voice", "in_app", "whatsapp", "webhook", "custom")
    refuses: tuple[str, ...] = ()
    unsubscribed_topics: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    best_hour: int | None = None
    """At which hour of their day they are assumed to read most, for `best_time`. None: nothing is known, so it is now."""


ANYBODY = Person()
"""Somebody with every channel and every consent."""


def failed(reason: str = "failed") -> CallVerdict:
    """As a result in `calls`: this Call fails, so its `otherwise` runs."""
    return CallVerdict("failed", reason=reason)


@dataclass(frozen=True)
class Line:
    """One line of the timeline: when (UTC), which step (or which event), what happened, and of what kind that is."""

    at: datetime
    step: str
    words: str
    kind: LineKind = "done"


@dataclass(frozen=True)
class Rehearsal:
    """What would happen: step ids of what was sent, (step id, reason) of what was not, how it ended, and everything in order.

    `called` are step ids of Calls, failed ones too; `entered` are journeys with their entry properties; `attributes` are the last ones;
    `arms` says for each Split that was reached which arm it was.
    """

    sent: list[str]
    skipped: list[tuple[str, str]]
    ended: str
    lines: list[Line]
    timezone: str
    called: list[str] = field(default_factory=list)
    entered: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    arms: Mapping[str, str] = field(default_factory=dict)

    @property
    def timeline(self) -> str:
        """A line for each thing that happened, in the person's local time."""
        zone = zone_of(self.timezone)
        return "\n".join(f"{line.at.astimezone(zone):%a %Y-%m-%d %H:%M}  {line.step}: {line.words}" for line in self.lines)


def rehearse(
    journey: Journey,
    events: Sequence[Happening] = (),
    *,
    user: Person = ANYBODY,
    entry: Mapping[str, Any] | None = None,
    arms: Mapping[str, str] | None = None,
    calls: Mapping[str, Any] | None = None,
    refused: Sequence[str] = (),
    dead: Sequence[str] = (),
    entered_by: str | None = None,
    starts_at: datetime = MONDAY_NOON,
) -> Rehearsal:
    """Play `journey` for `user` and return what would happen; nothing leaves.

    `events` are (after entry, name) or (after entry, name, properties). `entry` are the entry event's properties. `arms` forces arms of
    Splits by step id, `refused` names Sends that the provider rejects and Calls that fail. `calls` gives results of Calls by step id: one
    for every visit, or a list with one for each (the last stays); `failed("declined")` among them fails. Without one a Call gives {}.
    `dead` names Sends whose address the provider calls dead: they fail, and later ones to that channel are skipped as `suppressed`.
    `entered_by` names the entry event where a journey starts on several.
    """
    entered = EventFact("entry", entered_by or _first_way_in(journey), starts_at, dict(entry or {}), 0, starts_at)
    stage = Stage(journey, user, entered, refused=frozenset(refused), dead=frozenset(dead), calls=dict(calls or {}))
    for after, name, *properties in events:
        stage.expect(after, name, properties[0] if properties else {})
    return stage.run(dict(arms or {}))


@dataclass(frozen=True)
class _Sent:
    """A message that left, with what caps count it by."""

    fact: MessageFact
    at: datetime
    channel: str
    topic: str
    message_class: MessageClass

    def counts_for(self, cap: Cap) -> bool:
        is_of_class = cap.counts == "everything" or self.message_class == "marketing"
        return is_of_class and cap.channel in (None, self.channel) and cap.topic in (None, self.topic)


class Stage:
    """The rehearsal's World. Nothing in it really waits, so its coroutines run to the end in one go."""

    def __init__(
        self,
        journey: Journey,
        user: Person,
        entry: EventFact,
        *,
        refused: frozenset[str] = frozenset(),
        dead: frozenset[str] = frozenset(),
        calls: Mapping[str, Any] | None = None,
        app: str = ENTRY,
    ) -> None:
        """`app` and the user's id decide who is in a `sample(...)`."""
        self._app = app
        self.sent: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.lines: list[Line] = []
        self.called: list[str] = []
        self.entered: list[tuple[str, Mapping[str, Any]]] = []
        self.attributes = dict(user.attributes)
        self._journey = journey
        self._user = user
        self._refused = refused
        self._dead = dead
        self._suppressed: set[str] = set()
        self._calls = calls or {}
        self._now = entry.occurred_at
        self._numbers = count(1)
        self._coming: list[tuple[datetime, int, EventFact | Hand]] = []
        self._messages: list[_Sent] = []
        self._zone = zone_of(user.timezone)
        self._entry = entry
        self._events = [self._entry]
        self._exit_condition = journey.exit_condition
        self._listening = {step.id for step in all_steps(journey.steps) if isinstance(step, WaitFor)}
        waits = [step for step in all_steps(journey.steps) if isinstance(step, (Wait, WaitFor))]
        self._lengths = {step.id for step in waits if (step.duration if isinstance(step, Wait) else step.within) is not None}
        self._player: Player | None = None

    def expect(self, after: Duration, name: str, properties: Mapping[str, Any]) -> None:
        """An event that will come so long after entry (before it, for a negative duration)."""
        at = self._entry.occurred_at + after.timedelta
        number = len(self._coming) + 1
        self.expect_event(EventFact(f"event {number}", name, at, dict(properties), number, at), at)

    def expect_event(self, event: EventFact, at: datetime) -> None:
        """An event that will come at this moment, whenever it occurred."""
        heapq.heappush(self._coming, (at, next(self._numbers), event))

    def expect_hand(self, hand: Hand, at: datetime) -> None:
        """Somebody will end the wait that is going on then, or the enrollment."""
        heapq.heappush(self._coming, (at, next(self._numbers), hand))

    def run(self, arms: Mapping[str, str]) -> Rehearsal:
        """Play to the end."""
        ended = _drive(self.play(arms))
        splits = {step.id for step in all_steps(self._journey.steps) if isinstance(step, Split)}
        arms = {record.step: record.outcome or "" for record in self.progress.records if record.step in splits}
        return Rehearsal(self.sent, self.skipped, ended, self.lines, self._user.timezone, self.called, self.entered, self.attributes, arms)

    async def play(self, arms: Mapping[str, str]) -> str:
        self._note(ENTRY, self._entry.name, "entry")
        self._player = Player(
            self._journey,
            self,
            app=self._app,
            subject=self._user.user_id,
            entry=self._entry,
            started_at=self._now,
            arms=arms,
        )
        self._let_come(self._now, lambda: False)
        ended = await self._player.play()
        self._note("end", ended, "end")
        return ended

    @property
    def progress(self) -> Progress:
        """What the interpreter remembers, once it has begun."""
        assert self._player is not None
        return self._player.progress

    # The World ----------------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self._now

    async def wait(self, until: datetime, woken: Callable[[], bool], words: str) -> bool:
        assert self._player is not None
        assert self._player.standing is not None
        step = self._player.standing.step
        self._note(step, self._wait_words(words, step, until), "wait")
        if self._let_come(until, woken):
            return True
        self._now = max(self._now, until)
        if step in self._listening:
            self._note(step, "did not come", "wait")
        return False

    async def send(self, order: Order, woken: Callable[[], bool]) -> SendVerdict:  # noqa: ARG002 - nothing here takes time
        verdict = self._verdict(order)
        step, channel, template = order.step.id, order.step.message.channel, order.step.message.template
        if verdict.status == "settled" and verdict.sent:
            self.sent.append(step)
            fact = MessageFact(self._user.user_id, step, template, sent_at=self._now, delivered_at=self._now)
            self._messages.append(_Sent(fact, self._now, channel, self._topic(order), self._class(order)))
            self._note(step, f"{channel} {template} sent", "sent")
        elif verdict.status == "settled":
            self.skipped.append((step, ", ".join(verdict.reasons)))
            self._note(step, f"{channel} {template} not sent: {', '.join(verdict.reasons)}", "skipped")
        return verdict

    async def update(self, errand: Errand[Update]) -> None:
        changed = changes(errand.step.attributes, self._giving(errand), self._now)
        kept = {**self.attributes, **changed}
        self.attributes = {key: value for key, value in kept.items() if value is not None}
        self._note(errand.step.id, f"updated: {_words(changed)}")

    async def call(self, errand: Errand[Call], woken: Callable[[], bool]) -> CallVerdict:  # noqa: ARG002 - nothing here takes time
        step = errand.step.id
        if self._exit_condition is not None and holds(self._exit_condition, self._facts(errand.captured), self._now):
            return CallVerdict("exited", reason="exited: condition")
        self.called.append(step)
        verdict = failed("refused") if step in self._refused else self._result(step, errand.visit)
        self._note(step, f"call failed: {verdict.reason}" if verdict.status == "failed" else f"called: {_words(verdict.result)}")
        return verdict

    async def enter(self, errand: Errand[Enter]) -> None:
        properties = object_of(errand.step.properties, self._giving(errand), self._now)
        self.entered.append((errand.step.journey, properties))
        self._note(errand.step.id, f"asked to enter {errand.step.journey}: {_words(properties)}")

    async def first_that_holds(self, question: Question) -> int | None:
        facts = self._facts(question.captured)
        found = next((place for place, condition in enumerate(question.conditions) if holds(condition, facts, self._now)), None)
        if not question.step.startswith("$"):
            self._note(question.step, _answer(question.conditions, found))
        return found

    async def instant(self, step: str, moment: Moment, captured: Mapping[str, EventFact]) -> datetime | None:
        found = moments.instant(moment, self._facts(captured), self._now)
        if found is None:
            self._note(step, "no_moment")
        elif isinstance(moment, BestTime):
            self._note(step, self._best_time_words())
        elif found <= self._now:
            self._note(step, f"{self._wall(found)} has passed")
        return found

    async def recall(self, recalled: Recall) -> list[EventFact]:
        facts = self._facts(recalled.captured)
        came = [event for event in self._events[1:] if event.occurred_at >= recalled.since]
        meant = [event for event in came if counts(self._journey.key, recalled.events, event, facts)]
        return sorted(meant, key=lambda event: (event.occurred_at, event.arrival))[: recalled.most]

    async def end(self, reason: str, *, is_told: bool) -> None:
        """Nobody else has to be told."""

    # Time and events ----------------------------------------------------------------------------------------------------------------

    def _let_come(self, until: datetime, woken: Callable[[], bool]) -> bool:
        assert self._player is not None
        while not woken() and self._coming and self._coming[0][0] <= until:
            at, _, coming = heapq.heappop(self._coming)
            self._now = max(self._now, at)
            self._come(self._player, coming)
        return woken()

    def _come(self, player: Player, coming: EventFact | Hand) -> None:
        match coming:
            case "advance":
                player.advance()
            case "exit":
                player.leave(BY_HAND)
            case event:
                self._events.append(event)
                self._mark(event)
                self._note(event.name, "came", "event")
                player.arrive(event)

    def _best_time_words(self) -> str:
        if self._user.best_hour is None:
            return "their best time is not known yet: now"
        return f"their best time is assumed to be {self._user.best_hour:02}:00"

    def _mark(self, event: EventFact) -> None:
        """message_opened and message_clicked, with the step as a property, are facts about that step's message."""
        step = event.properties.get("step")
        self._messages = [replace(each, fact=_marked(each.fact, event)) if each.fact.step == step else each for each in self._messages]

    def _wait_words(self, words: str, step: str, until: datetime) -> str:
        """The interpreter's words without the id, and with the person's own time where no length tells it."""
        short, _, rest = words.partition(f": {step}")
        if short in ("deferred", "held"):
            return f"put off until {self._wall(until)}{rest}"
        return short if step in self._lengths else f"{short} until {self._wall(until)}"

    def _wall(self, at: datetime) -> str:
        wall = at.astimezone(self._zone)
        return f"{wall:%a} {wall.day} {wall:%b %H:%M}"

    def _note(self, step: str, words: str, kind: LineKind = "done") -> None:
        self.lines.append(Line(self._now, step, words, kind))

    # What is known, and the rules before a send -------------------------------------------------------------------------------------

    def _facts(self, captured: Mapping[str, EventFact]) -> Facts:
        return Facts(
            attributes=self.attributes,
            timezone=self._user.timezone,
            endpoints=tuple(EndpointFact(channel, self._entry.occurred_at) for channel in self._user.channels),
            events=tuple(self._events),
            messages=tuple(each.fact for each in self._messages),
            segments=frozenset(self._user.segments),
            unsubscribed_topics=frozenset(self._user.unsubscribed_topics),
            entry=self._entry,
            entered_at=self._entry.occurred_at,
            captured=captured,
            source=self._user.user_id,
            app=self._app,
            subject=self._user.user_id,
            best_hours=None if self._user.best_hour is None else assumed(self._user.best_hour),
        )

    def _result(self, step: str, visit: int) -> CallVerdict:
        given = self._calls.get(step, {})
        if isinstance(given, (list, tuple)):
            given = given[min(visit, len(given)) - 1] if given else {}
        if isinstance(given, CallVerdict):
            return given
        return CallVerdict("done", result=given if isinstance(given, Mapping) else {"value": given})

    def _giving(self, errand: Errand[Update] | Errand[Enter]) -> Facts:
        return naming(self._facts(errand.captured), self._user.user_id)

    def _class(self, order: Order) -> MessageClass:
        return order.step.message_class or self._journey.message_class

    def _verdict(self, order: Order) -> SendVerdict:
        """As activities/rules.py judges: what forbids comes before what only delays, and a cap is asked last. The app sets nothing."""
        if self._exit_condition is not None and holds(self._exit_condition, self._facts(order.captured), self._now):
            return SendVerdict("exited", reasons=("exited: condition",))
        reason = self._refusal(order)
        if reason is None and self._class(order) == "marketing":
            delayed = self._closed(order)
            if delayed is not None:
                return delayed
            reason = "capped" if any(self._is_reached(cap, order) for cap in self._journey.caps or ()) else None
        if reason is not None:
            return SendVerdict("settled", reasons=(reason,))
        if order.step.id in self._dead and order.step.to is None:
            self._suppressed.add(order.step.message.channel)
        if order.step.id in self._refused | self._dead:
            return SendVerdict("settled", reasons=("rejected",), claimed_at=self._now)
        return SendVerdict("settled", sent=True, claimed_at=self._now)

    def _closed(self, order: Order) -> SendVerdict | None:
        quiet = order.step.quiet_hours or self._journey.quiet_hours
        window = order.step.send_window or self._journey.send_window
        hours = Hours((quiet,) if quiet else (), (window,) if window else ())
        against = closed_by(hours, self._now, self._zone)
        if against is None:
            return None
        reason, closed = against
        until = next_permitted(hours, self._now, self._zone)
        if closed.then == "skip" or until is None:
            return SendVerdict("settled", reasons=(reason if closed.then == "skip" else "never_permitted",))
        return SendVerdict("deferred", reasons=(reason,), until=until)

    def _refusal(self, order: Order) -> str | None:
        channel = order.step.message.channel
        if not self._has_address(order):
            return "no_endpoint"
        if channel in self._suppressed and order.step.to is None:
            return "suppressed"
        if channel in self._user.refuses:
            return "opted_out"
        return "unsubscribed" if self._class(order) == "marketing" and self._topic(order) in self._user.unsubscribed_topics else None

    def _has_address(self, order: Order) -> bool:
        match order.step.to:
            case None:
                return order.step.message.channel in self._user.channels
            case str(address):
                return _is_address(order.step.message.channel, address)
            case expression:
                named = value(expression, self._facts(order.captured), self._now)
                return isinstance(named, str) and _is_address(order.step.message.channel, named)

    def _is_reached(self, cap: Cap, order: Order) -> bool:
        if cap.channel not in (None, order.step.message.channel) or cap.topic not in (None, self._topic(order)):
            return False
        is_rolling = isinstance(cap.per, Duration)
        since = self._now - cap.per.timedelta if isinstance(cap.per, Duration) else period_began(cap.per, self._now, self._zone)
        counted = [each for each in self._messages if each.counts_for(cap)]
        return sum(1 for each in counted if each.at > since or (each.at == since and not is_rolling)) >= cap.at_most

    def _topic(self, order: Order) -> str:
        """As activities/terms.py says it: what is transactional needs no topic."""
        return order.step.topic or self._journey.topic or ("general" if self._class(order) == "marketing" else "")


def _first_way_in(journey: Journey) -> str:
    """The name that the entry event has: of people whom time lets in it is the way's."""
    if isinstance(journey.starts_on, (DateEntry, ScheduleEntry)):
        return journey.starts_on.kind
    return journey.starting_events.any_of[0].name if journey.starting_events else REQUESTED


def _answer(conditions: Sequence[AnyCondition], found: int | None) -> str:
    if len(conditions) == 1:
        return f"{condition_words(conditions[0])}? {'no' if found is None else 'yes'}"
    return "no case holds" if found is None else f"{condition_words(conditions[found])}: case {found + 1}"


def _words(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, default=str) if values else "nothing"


def _is_address(channel: str, named: str) -> bool:
    """Whether it looks like one; whether there is such a mailbox or number, a rehearsal cannot say."""
    return bool(_ADDRESSES.get(channel, _ONE_WORD).fullmatch(named))


def _marked(fact: MessageFact, event: EventFact) -> MessageFact:
    match event.name:
        case "message_opened":
            return replace(fact, opened_at=event.occurred_at)
        case "message_clicked":
            return replace(fact, clicked_at=event.occurred_at)
        case _:
            return fact


def _drive(coroutine: Coroutine[Any, Any, str]) -> str:
    """Run a coroutine that never waits for anything outside itself; no event loop is needed, nor in the way."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return str(done.value)
    raise RuntimeError("a rehearsal waited for something outside itself")
