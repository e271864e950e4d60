"""Random lives: a journey, somebody, what happens to them, and how providers behave. And smaller lives made of a given one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from pydantic import TypeAdapter

from journeys.language import QuietHours, SendWindow, days, event, hours
from journeys.language.codec import from_json, to_json
from journeys.language.events import Events
from journeys.language.facts import EventFact
from journeys.language.journey import Journey
from journeys.language.messages import Cap
from journeys.language.rehearsal import Person
from journeys.language.steps import Call, Send
from journeys.language.walk import all_steps
from tests.journeys.journey_strategies import journeys
from tests.journeys.strategies import EVENTS, attributes, properties

_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)

Behaviour = Literal["ok", "rejected", "dead", "flaky", "ambiguous"]
By = Literal["event", "advance", "exit", "opened", "clicked"]

STARTS = (
    datetime(2026, 3, 2, 12, 0, tzinfo=UTC),
    datetime(2026, 3, 28, 22, 30, tzinfo=UTC),  # the night in which Berlin's clocks go forward
    datetime(2026, 10, 24, 20, 0, tzinfo=UTC),  # and back
    datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC),
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
# Deadlines of random waits are sums of these, so that an event often comes in the very moment in which a wait ends.
OFFSETS = (
    *(timedelta(0), timedelta(seconds=1), timedelta(minutes=90), timedelta(hours=3), timedelta(days=1), timedelta(days=30)),
    *(timedelta(microseconds=1), timedelta(days=1, hours=3), timedelta(days=2), timedelta(hours=10), timedelta(days=45)),
)
# What mail and phone libraries take or refuse is held in tests/storage/test_endpoints.py; these they all take.
ADDRESSES = {"email": "bob@example.com", "sms": "+4915112345678", "push": "a-token"}
# How much earlier than it came an event says that it occurred; 60 seconds is what late clocks are forgiven.
DELAYS = (*[timedelta(0)] * 6, timedelta(seconds=59), timedelta(seconds=60), timedelta(seconds=61), timedelta(hours=2), timedelta(days=3))


@dataclass(frozen=True)
class Happening:
    """Something that comes `after` entry. An event occurred `delay` before it came, and `again` says that it comes a second time."""

    after: timedelta
    by: By = "event"
    name: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    delay: timedelta = timedelta(0)
    again: bool = False


@dataclass(frozen=True)
class Case:
    """One life. `behaviours` are by Send, `disturbed` are steps during which a signal comes,
    `devices` is how many get pushes, `results` are those of Calls, visit by visit."""

    journey: Journey
    person: Person
    entry: Mapping[str, Any]
    happenings: tuple[Happening, ...]
    behaviours: Mapping[str, Behaviour]
    disturbed: frozenset[str]
    devices: int
    starts_at: datetime
    results: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def __str__(self) -> str:
        told = "\n".join(f"  {each}" for each in self.happenings)
        return (
            f"{json.dumps(json.loads(to_json(self.journey)), indent=1)}\n{self.person}\nentry {dict(self.entry)}\n{told}\n"
            f"{dict(self.behaviours)} disturbed {sorted(self.disturbed)} devices {self.devices}"
            f" starts {self.starts_at} results {dict(self.results)}"
        )


@st.composite
def cases(draw: DrawFn) -> Case:
    """Somebody's life in a journey of steps that run."""
    journey = _runnable(draw(journeys()), draw)
    outside = [step.id for step in all_steps(journey.steps) if isinstance(step, (Send, Call))]
    calls = [step.id for step in all_steps(journey.steps) if isinstance(step, Call)]
    words: Any = st.sampled_from(("ok", "ok", "rejected", "dead", "flaky", "ambiguous"))
    return Case(
        journey=journey,
        person=draw(_people()),
        entry={**draw(properties), "n": 7},
        happenings=tuple(draw(st.lists(_happenings(), max_size=9))),
        behaviours={name: draw(words) for name in outside} if draw(st.booleans()) else {},
        disturbed=frozenset(draw(st.sets(st.sampled_from([step.id for step in all_steps(journey.steps)]), max_size=2))),
        devices=draw(st.integers(1, 2)),
        starts_at=draw(st.sampled_from(STARTS)),
        results={name: draw(st.lists(properties, max_size=2)) for name in calls},
    )


AFTERNOON = SendWindow("12:00", "20:00", then="skip")
EVERY_KIND = [Cap(1, per="week", topic="surveys"), Cap(2, per="month", counts="everything")]


def _runnable(journey: Journey, draw: DrawFn) -> Journey:
    """Entered by an event, held out never, by a provider that this house has, with values for every rule."""
    starts_on = journey.starts_on if isinstance(journey.starts_on, Events) else event("signed_up")
    lively = from_json(json.dumps(_livelier(json.loads(to_json(journey)), draw)))
    is_left_by_condition = draw(st.integers(0, 2)) == 0
    return _with(
        lively,
        exits_on=lively.exits_on if is_left_by_condition else lively.exit_events,
        starts_on=Events([replace(each, where=None) for each in starts_on.any_of]),
        holdout=0,
        again_after=None,
        message_class=draw(st.sampled_from(("marketing", "transactional"))),
        quiet_hours=draw(st.sampled_from((None, QuietHours("21:00", "08:00"), QuietHours("02:30", "02:30")))),
        send_window=draw(st.sampled_from((None, None, SendWindow("09:00", "17:00", days=["monday", "sunday"]), AFTERNOON))),
        caps=draw(st.sampled_from((None, [Cap(1, per="day")], [Cap(2, per=days(7), channel="email")], EVERY_KIND))),
        topic=draw(st.sampled_from((None, "surveys"))),
        ends_after=draw(st.sampled_from((days(540), days(540), days(3), hours(30)))),
    )


@st.composite
def _people(draw: DrawFn) -> Person:
    channels = draw(st.sampled_from((("email", "sms", "push"), ("email", "sms", "push"), ("email",), ("push", "sms"), ())))
    return Person(
        attributes={key: value for key, value in draw(attributes).items() if value is not None},
        timezone=draw(st.sampled_from(ZONES)),
        channels=channels,
        refuses=tuple(sorted(draw(st.sets(st.sampled_from(("email", "sms", "push")), max_size=1)))) if draw(st.booleans()) else (),
        unsubscribed_topics=draw(st.sampled_from(((), (), ("general",), ("surveys",)))),
    )


@st.composite
def _happenings(draw: DrawFn) -> Happening:
    after = draw(st.sampled_from(OFFSETS)) + draw(st.sampled_from((timedelta(0), timedelta(0), timedelta(minutes=7))))
    by: By = draw(st.sampled_from(("event",) * 12 + ("advance", "opened", "clicked", "exit")))
    if by != "event":
        return Happening(max(after, timedelta(seconds=1)), by)
    before = draw(st.integers(0, 9)) == 0
    given = {**draw(properties), **({"n": 7} if draw(st.integers(0, 4)) else {})}
    return Happening(
        -after if before else after,
        "event",
        draw(st.sampled_from(EVENTS)),
        given,
        draw(st.sampled_from(DELAYS)),
        again=draw(st.integers(0, 7)) == 0,
    )


def smaller(case: Case) -> Iterator[Case]:
    """Each life that has a little less in it, the biggest cuts first."""
    for steps in _fewer(tuple(case.journey.steps)):
        if steps:
            yield replace(case, journey=_with(case.journey, steps=steps))
    for place in range(len(case.happenings)):
        yield replace(case, happenings=case.happenings[:place] + case.happenings[place + 1 :])
    for name in ("exits_on", "goal", "key", "quiet_hours", "caps", "topic"):
        if getattr(case.journey, name) is not None:
            yield replace(case, journey=_with(case.journey, **{name: None}))
    if case.behaviours:
        yield replace(case, behaviours={})
    if case.disturbed:
        yield replace(case, disturbed=frozenset())
    yield from (replace(case, person=person) for person in _simpler(case.person))


def _simpler(person: Person) -> Iterator[Person]:
    if person.refuses or person.unsubscribed_topics:
        yield replace(person, refuses=(), unsubscribed_topics=())
    for name in person.attributes:
        yield replace(person, attributes={key: value for key, value in person.attributes.items() if key != name})


def _livelier(stored: Any, draw: DrawFn) -> Any:
    """Most events count, whatever is in them; no provider is named that this house has not."""
    if isinstance(stored, list):
        return [_livelier(each, draw) for each in stored]
    if not isinstance(stored, dict):
        return stored
    dropped = {"provider"} if stored.get("kind") == "message" else set()
    if isinstance(stored.get("to"), str):
        stored = {**stored, "to": ADDRESSES[stored["message"]["channel"]]}
    if stored.get("kind") == "event" and draw(st.integers(0, 3)):
        dropped.add("where")
    return {name: _livelier(value, draw) for name, value in stored.items() if name not in dropped}


def _with(journey: Journey, **changes: Any) -> Journey:
    """Without the checks: a smaller life may be one that nobody would write."""
    stored = json.loads(to_json(journey))
    for name, value in changes.items():
        stored[name] = json.loads(_ANYTHING.dump_json(value, exclude_none=True))
    return from_json(json.dumps({name: value for name, value in stored.items() if value is not None}))


def _fewer(steps: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The same steps with one of them gone, put in place of its parent, or with fewer inside."""
    for place, step in enumerate(steps):
        yield steps[:place] + steps[place + 1 :]
        for name, inside in _inner(step):
            yield (*steps[:place], *inside, *steps[place + 1 :])
            for fewer in _fewer(tuple(inside)):
                changed = _set(step, name, fewer)
                if changed is not None:
                    yield (*steps[:place], changed, *steps[place + 1 :])


def _inner(step: Any) -> list[tuple[Any, Any]]:
    names = ("then", "otherwise", "if_past", "steps")
    found: list[tuple[Any, Any]] = [(name, getattr(step, name)) for name in names if hasattr(step, name)]
    for name in ("cases", "arms"):
        found += [((name, place), each.steps) for place, each in enumerate(getattr(step, name, ()) or ())]
    return [(name, inside) for name, inside in found if inside]


def _set(step: Any, name: Any, steps: tuple[Any, ...]) -> Any:
    if isinstance(name, str):
        return None if name == "steps" and not steps else replace(step, **{name: steps})
    field_name, place = name
    branches = list(getattr(step, field_name))
    branches[place] = replace(branches[place], steps=steps)
    return replace(step, **{field_name: branches})


def fact(case: Case, number: int, happening: Happening) -> EventFact:
    """The event as both Worlds get it."""
    came = case.starts_at + happening.after
    return EventFact(f"event {number}", happening.name, came - happening.delay, dict(happening.properties), number, came)
