"""The World of one passage through a journey, made of what is recorded of a person. Nothing waits and nothing leaves."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from activities.backtest.setting import Setting
from activities.places import raw_or_none
from activities.rules import EVERY, Defer, Go, Known, Ruling, Skip, Target, ruling
from activities.zones import PHONE_CHANNELS, Located, locate
from journeys.language import moments
from journeys.language.evaluate import holds, value
from journeys.language.facts import EndpointFact, EventFact, Facts, MessageFact
from journeys.language.keys import counts
from journeys.language.play import Player
from journeys.language.resolving import changes
from journeys.language.steps import Call, Enter, Moment, Send, Update
from journeys.language.verdict import CallVerdict, SendVerdict
from journeys.language.world import Errand, Order, Question, Recall
from storage.past import Past, PastConsent, PastEndpoint
from storage.standing import Claimed, Consent

_HEARD_OF = datetime.min.replace(tzinfo=UTC)


class StillInside(Exception):
    """The recorded time is over and the person is inside still."""


@dataclass
class Person:
    """One person while a journey is played for them, passage after passage. `events` stand in the order in which they became known."""

    past: Past
    events: tuple[EventFact, ...]
    attributes: Mapping[str, object]
    claimed: list[Claimed]
    messages: list[MessageFact]

    @classmethod
    def of(cls, past: Past, journey: str) -> "Person":
        """Take what is recorded. What this journey itself sent then does not count: it is what is being played."""
        others = [message for message in past.messages if message.journey != journey]
        return cls(
            past,
            tuple(EventFact(each.id, each.name, each.occurred_at, each.properties, each.arrival, each.received_at) for each in past.events),
            past.attributes,
            [Claimed(each.channel, each.claimed_at, each.topic, each.message_class) for each in others],
            [
                MessageFact(each.source, each.step, each.template, each.sent_at, each.delivered_at, each.opened_at, each.clicked_at)
                for each in others
            ],
        )


@dataclass
class Passage:
    """What became of one entry. `ended` None: still inside when the recorded time ends."""

    entry: EventFact
    is_held_out: bool = False
    sent: list[tuple[datetime, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    deferred: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    asked_to_enter: list[str] = field(default_factory=list)
    arms: dict[str, str] = field(default_factory=dict)
    ended: str | None = None
    ended_at: datetime | None = None


class PastWorld:
    """Plays from `starts_at`. Events come when they became known; the passage is cut off where the recorded time ends."""

    def __init__(self, setting: Setting, person: Person, passage: Passage, starts_at: datetime) -> None:
        self._setting = setting
        self._person = person
        self._passage = passage
        self._now = starts_at
        # Until the passage has begun, everything that was known is counted; from then on each event as it comes.
        self._known = bisect_right(person.events, starts_at, key=_known_at)
        self._player: Player | None = None

    def begin(self, player: Player) -> None:
        """Hand over what came since entry and before the passage began."""
        self._player = player
        since = self._passage.entry.occurred_at
        for event in self._person.events[: self._known]:
            if event.occurred_at >= since and event.name in self._setting.signal_names:
                player.arrive(event)

    # The World ----------------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self._now

    async def wait(self, until: datetime, woken: Callable[[], bool], words: str) -> bool:  # noqa: ARG002 - nobody reads along
        assert self._player is not None
        events = self._person.events
        while not woken() and self._known < len(events) and _known_at(events[self._known]) <= until:
            event = events[self._known]
            self._known += 1
            self._now = max(self._now, _known_at(event))
            if event.name in self._setting.signal_names:
                self._player.arrive(event)
        if woken():
            return True
        if until >= self._setting.asked.until:
            raise StillInside
        self._now = max(self._now, until)
        return False

    async def send(self, order: Order, woken: Callable[[], bool]) -> SendVerdict:  # noqa: ARG002 - nothing here takes time
        if self._now >= self._setting.asked.until:
            raise StillInside
        facts = self._facts(order.captured)
        if self._setting.exit_condition is not None and holds(self._setting.exit_condition, facts, self._now):
            return SendVerdict("exited", reasons=("exited: condition",))
        rulings = self._rulings(order.step, facts)
        if any(isinstance(each, Go) for each in rulings):
            self._note_sent(order)
            return SendVerdict("settled", sent=True, claimed_at=self._now)
        deferred = [each for each in rulings if isinstance(each, Defer)]
        if deferred:
            self._passage.deferred.append(order.step.id)
            reasons = tuple(sorted({each.reason for each in deferred}))
            return SendVerdict("deferred", reasons=reasons, until=min(each.until for each in deferred))
        reasons = tuple(sorted({each.reason for each in rulings if isinstance(each, Skip)}))
        self._passage.skipped += [(order.step.id, reason) for reason in reasons]
        return SendVerdict("settled", reasons=reasons)

    async def update(self, errand: Errand[Update]) -> None:
        changed = changes(errand.step.attributes, self._facts(errand.captured), self._now)
        kept = {**self._person.attributes, **changed}
        self._person.attributes = {key: value for key, value in kept.items() if value is not None}

    async def call(self, errand: Errand[Call], woken: Callable[[], bool]) -> CallVerdict:  # noqa: ARG002 - nothing here takes time
        if self._setting.exit_condition is not None and holds(self._setting.exit_condition, self._facts(errand.captured), self._now):
            return CallVerdict("exited", reason="exited: condition")
        self._passage.called.append(errand.step.id)
        return CallVerdict("done")

    async def enter(self, errand: Errand[Enter]) -> None:
        self._passage.asked_to_enter.append(errand.step.journey)

    async def first_that_holds(self, question: Question) -> int | None:
        facts = self._facts(question.captured)
        return next((place for place, condition in enumerate(question.conditions) if holds(condition, facts, self._now)), None)

    async def instant(self, step: str, moment: Moment, captured: Mapping[str, EventFact]) -> datetime | None:  # noqa: ARG002 - the World's form
        return moments.instant(moment, self._facts(captured), self._now)

    async def recall(self, recalled: Recall) -> list[EventFact]:
        facts = self._facts(recalled.captured)
        key, entry = self._setting.journey.key, self._passage.entry
        came = [event for event in self._person.events[: self._known] if event.occurred_at >= recalled.since and event.id != entry.id]
        meant = [event for event in came if counts(key, recalled.events, event, facts)]
        return sorted(meant, key=lambda event: (event.occurred_at, event.arrival))[: recalled.most]

    async def end(self, reason: str, *, is_told: bool) -> None:
        """Nobody has to be told."""

    # What is known, and the rules before a send -------------------------------------------------------------------------------------

    def _facts(self, captured: Mapping[str, EventFact]) -> Facts:
        past, entry = self._person.past, self._passage.entry
        return Facts(
            attributes=self._person.attributes,
            timezone=past.timezone,
            endpoints=tuple(EndpointFact(each.channel, each.confirmed_at, each.device) for each in past.endpoints if each.is_active)
            if not self._setting.asked.as_if_reachable
            else _REACHABLE,
            events=self._person.events[: self._known],
            messages=tuple(self._person.messages),
            unsubscribed_topics=frozenset() if self._setting.asked.as_if_reachable else _unsubscribed(self._consents()),
            entry=entry,
            entered_at=entry.occurred_at,
            captured=captured,
            source=entry.id,
            app=self._setting.asked.app,
            subject=past.subject,
        )

    def _consents(self) -> list[PastConsent]:
        return said_by(self._person.past.consents, self._now)

    def _rulings(self, step: Send, facts: Facts) -> list[Ruling]:
        terms = self._setting.terms_of(step, self._located(step))
        claimed = [each for each in self._person.claimed if each.at <= self._now]
        if self._setting.asked.as_if_reachable:
            agreed = (Consent(terms.channel, EVERY, is_granted=True, order=0),)
            target = Target("reachable") if step.to is None else self._named(step, facts)
            return [ruling(terms, target, Known(self._now, agreed, claimed=claimed))]
        consents = [Consent(each.channel, each.topic, each.is_granted, each.order) for each in self._consents()]
        return [
            ruling(terms, target, Known(self._now, consents, frozenset({b"x"}) if is_suppressed else frozenset(), claimed))
            for target, is_suppressed in self._targets(step, facts)
        ]

    def _targets(self, step: Send, facts: Facts) -> list[tuple[Target, bool]]:
        """Where it would go, and whether that was suppressed; hashes only tell apart, so a suppressed address is one with a hash."""
        channel = step.message.channel
        if step.to is not None:
            return [(self._named(step, facts), False)]
        known = [each for each in self._person.past.endpoints if each.channel == channel]
        active = [each for each in known if each.is_active]
        if not active:
            return [(Target(known[0].address if known else None, is_active=False), False)]
        return [self._target(each) for each in (active if channel == "push" else active[:1])]

    def _named(self, step: Send, facts: Facts) -> Target:
        """The address that `to` gives, if it is one."""
        named = step.to if isinstance(step.to, str) or step.to is None else value(step.to, facts, self._now)
        place = raw_or_none(self._setting.asked.app, step.message.channel, named)
        return Target(place.address if place else None)

    def _target(self, endpoint: PastEndpoint) -> tuple[Target, bool]:
        is_suppressed = endpoint.suppressed_at is not None and endpoint.suppressed_at <= self._now
        return Target(endpoint.address, b"x" if is_suppressed else b""), is_suppressed

    def _located(self, step: Send) -> Located:
        """By the number that was confirmed last; that of a `to` is not looked at."""
        past = self._person.past
        phones = [each for each in past.endpoints if each.is_active and each.channel in PHONE_CHANNELS]
        of_channel = [each for each in phones if each.channel == step.message.channel]
        phone = next((each.address for each in (*of_channel, *phones)), None)
        return locate(past.timezone, phone, self._person.attributes, self._setting.asked.settings or {})

    def _note_sent(self, order: Order) -> None:
        step = order.step
        self._passage.sent.append((self._now, step.id))
        terms = self._setting.terms_of(step, self._located(step))
        self._person.claimed.append(Claimed(step.message.channel, self._now, terms.topic, terms.message_class))
        fact = MessageFact(self._passage.entry.id, step.id, step.message.template, sent_at=self._now)
        self._person.messages.append(replace(fact, delivered_at=self._now))


_REACHABLE = tuple(
    EndpointFact(channel, _HEARD_OF) for channel in ("email", "sms", "push", "voice", "in_app", "whatsapp", "webhook", "custom")
)


def said_by(consents: tuple[PastConsent, ...], moment: datetime) -> list[PastConsent]:
    """The newest word of each channel and topic as of a moment; before the first one that is recorded, the first one holds."""
    newest: dict[tuple[str, str], PastConsent] = {}
    for each in consents:
        if (each.channel, each.topic) not in newest or each.recorded_at <= moment:
            newest[each.channel, each.topic] = each
    return list(newest.values())


def _unsubscribed(consents: list[PastConsent]) -> frozenset[str]:
    """Topics of which the last word, on whatever channel, is that it is over; `*` only where it is said of every channel."""
    last: dict[str, PastConsent] = {}
    for each in sorted(consents, key=lambda each: each.order):
        if each.topic != EVERY or each.channel == EVERY:
            last[each.topic] = each
    return frozenset(topic for topic, each in last.items() if not each.is_granted)


def _known_at(event: EventFact) -> datetime:
    return event.received_at or event.occurred_at
