"""Every kind of condition really occurs, comes out both ways, and both readers agree on it: at many moments, on hostile data."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from journeys.language import (
    ago,
    ahead,
    captured,
    conditions,
    days,
    device,
    did,
    entry,
    has,
    in_segment,
    last_did,
    location,
    near,
    prop,
    sample,
    subscribed,
    trait,
)
from journeys.language.conditions import AnyCondition, Compare, Contains, MessageWas, Operator, StartsWith
from journeys.language.evaluate import holds as evaluate
from journeys.language.facts import EventFact, Facts, MessageFact
from journeys.language.nodes import Node
from journeys.language.walk import nodes_in
from tests.journeys.strategies import (
    CHANNELS,
    DURATIONS,
    EVENTS,
    NOW,
    SEGMENTS,
    TIMES,
    TOPICS,
    facts,
    scalars,
)
from tests.storage.test_conditions import House

ROUNDS = int(os.environ.get("SOJOURN_EXAMPLES", "12"))
MOST_ROUNDS = ROUNDS + 1000
OPERATORS: tuple[Operator, ...] = ("==", "!=", "<", "<=", ">", ">=")

# As of then and as of later: what is after the moment does not count, whenever it is asked.
MOMENTS = st.sampled_from(
    [NOW, NOW, NOW, NOW - timedelta(microseconds=1), NOW - timedelta(days=400), NOW + timedelta(days=9), datetime(1700, 1, 1, tzinfo=UTC)]
)
TEXTS = st.sampled_from(("gold", "go", "ä", "Z", "7", "", "ö" * 300, "\U0001d518", "a\u0301", "%", "\\", "{}", "null"))
NUMBERS: SearchStrategy[Any] = st.sampled_from((7, 7.0, -1, 0, 0.1, 0.3, 2**53, 2**53 + 1, 2**63 - 1, 1e30, 1e300, 5e-324, -0.0))
# A body with such a number gives the nearest float; only a literal of a condition can have it.
HUGE = st.one_of(NUMBERS, st.sampled_from((10**30, -(10**40))))
BETWEEN: list[Any] = [(NOW - timedelta(days=30), NOW), (ago(DURATIONS[0]), ahead(DURATIONS[0])), (entry("renews_on"), NOW)]
DEEP = {"a": [{"b": [[{"c": {"0": [7]}}]]}]}
PATH = "a.0.b.0.0.c.0.0"


@st.composite
def lively(draw: DrawFn) -> Facts:
    """Somebody of whom what is asked is often known, and of the type that is asked for."""
    known = draw(facts())
    attributes = {
        **known.attributes,
        "plan": draw(st.one_of(TEXTS, TEXTS, NUMBERS, st.none(), st.booleans())),
        "n": draw(st.one_of(NUMBERS, NUMBERS, TEXTS, st.lists(NUMBERS, max_size=2))),
        "tags": draw(st.lists(st.one_of(st.sampled_from((7, "go", True, "gold", 0)), TEXTS, st.none()), max_size=4)),
        "renews_on": draw(st.sampled_from(TIMES)),
        "location": draw(st.sampled_from(({"latitude": 48.4, "longitude": 9.99, "country": "DE"}, {"latitude": "48", "country": 7}, None))),
        **draw(st.sampled_from((DEEP, {"a": [7]}, {}))),
    }
    came = draw(st.lists(_did_something(), min_size=1, max_size=5))
    wrote = draw(st.lists(_message(), max_size=2))
    entered = draw(st.one_of(st.none(), _did_something(), _did_something(), _did_something()))
    caught = draw(st.dictionaries(st.just("answer"), _did_something(), min_size=draw(st.integers(0, 3)) and 1))
    return replace(
        known,
        attributes=attributes,
        events=(*known.events, *came),
        messages=(*known.messages, *wrote),
        entry=entered,
        entered_at=entered.occurred_at if entered else None,
        captured=caught,
    )


@st.composite
def _did_something(draw: DrawFn) -> EventFact:
    at = draw(st.sampled_from([NOW, *(NOW + sign * each.timedelta for each in DURATIONS[:5] for sign in (-1, -1, 1))]))
    given: Mapping[str, Any] = {"n": draw(NUMBERS), "plan": draw(TEXTS), "renews_on": draw(st.sampled_from(TIMES))}
    return EventFact(draw(st.uuids()).hex, draw(st.sampled_from(EVENTS)), at, given)


@st.composite
def _message(draw: DrawFn) -> MessageFact:
    at = NOW - draw(st.sampled_from(DURATIONS)).timedelta
    return MessageFact("this", "welcome", draw(st.sampled_from(("welcome", "nps"))), at, at, at, at)


def _compared(path: str, op: Operator) -> Callable[[Any], Compare]:
    return lambda right: Compare(trait(path), op, right)


def _contained(part: Any) -> Contains:
    return Contains(trait("tags"), part)


def _of_template(state: Literal["sent", "delivered", "opened", "clicked"]) -> Callable[[str], MessageWas]:
    return lambda name: MessageWas(state, template=name)


def asked() -> dict[str, SearchStrategy[Any]]:
    """A strategy for each thing that can be asked, by a name that says what it is."""
    things: dict[str, SearchStrategy[Any]] = {}
    for op in OPERATORS:
        things[f"number {op}"] = HUGE.map(_compared("n", op))
        things[f"text {op}"] = TEXTS.map(_compared("plan", op))
        things[f"expression {op}"] = st.sampled_from(
            [Compare(left, op, right) for left in (trait("n"), entry("n"), captured("answer", "n")) for right in (entry("n"), trait("n"))]
        )
        things[f"instant {op}"] = st.sampled_from([Compare(last_did(one), op, last_did(other)) for one in EVENTS for other in EVENTS])
    things["truth =="] = st.sampled_from((trait("plan") == True, trait("plan") == False))  # noqa: E712
    others = st.booleans().flatmap(lambda is_seven: st.just(7) if is_seven else st.one_of(scalars, NUMBERS))
    things["any =="] = others.map(lambda right: Compare(trait("n"), "==", right))
    things["deep"] = st.sampled_from((trait(PATH) == 7, trait("a.0") == 7, trait("a.0.b.0.0.c") == 7, trait(PATH).exists()))
    things["is_in"] = st.lists(st.one_of(TEXTS, NUMBERS, st.booleans()), min_size=1, max_size=3).map(trait("plan").is_in)
    things["contains text"] = TEXTS.map(lambda part: Contains(trait("plan"), part))
    things["contains element"] = st.sampled_from((7, "go", True, "gold", 0, 1, "")).map(_contained)
    things["starts_with"] = TEXTS.map(lambda start: StartsWith(trait("plan"), start))
    reads = (trait("plan"), entry("n"), captured("answer", "$event"), device("n"), location("country"), last_did("order_placed"))
    things |= {f"exists {each.kind}": st.just(each.exists()) for each in reads}
    things["prop outside"] = st.just(~prop("n").exists())
    return things | _of_times() | _of_deeds() | _of_others()


def _of_times() -> dict[str, SearchStrategy[Any]]:
    limits: dict[str, SearchStrategy[Any]] = {
        "instant": st.sampled_from((NOW, NOW - timedelta(days=2), NOW + timedelta(days=2))),
        "day": st.sampled_from((NOW.date(), (NOW - timedelta(days=300)).date())),
        "ago": st.sampled_from(DURATIONS).map(ago),
        "ahead": st.sampled_from(DURATIONS).map(ahead),
        "shifted": st.sampled_from(
            [trait("renews_on") - each for each in DURATIONS] + [last_did("order_placed") + each for each in DURATIONS]
        ),
        "timed": st.sampled_from([(trait("renews_on") - DURATIONS[0]).at("02:30"), entry("renews_on").at("09:00")]),
        "expression": st.sampled_from((entry("renews_on"), captured("answer", "renews_on"), last_did("product_viewed"))),
    }
    things: dict[str, SearchStrategy[Any]] = {}
    for name, limit in limits.items():
        for left in (trait("renews_on"), last_did("order_placed")):
            things[f"{left.kind} before {name}"] = limit.map(left.before)
            things[f"{left.kind} after {name}"] = limit.map(left.after)
    return things


def _of_deeds() -> dict[str, SearchStrategy[Any]]:
    bounds: dict[str, SearchStrategy[Any]] = {
        "": st.just({}),
        "at_least": st.sampled_from((1, 2, 3)).map(lambda n: {"at_least": n}),
        "at_most": st.sampled_from((1, 2)).map(lambda n: {"at_most": n}),
        "both": st.just({"at_least": 1, "at_most": 2}),
        "total": st.sampled_from((1, 7, 7.1)).map(lambda n: {"total": prop("n"), "at_least": n}),
        "total at_most": st.sampled_from((0, 7.3, 20)).map(lambda n: {"total": prop("n"), "at_most": n}),
    }
    windows: dict[str, SearchStrategy[Any]] = {
        "ever": st.just({}),
        "last": st.sampled_from(DURATIONS).map(lambda each: {"last": each}),
        "since entry": st.just({"since": "entry"}),
        "between": st.sampled_from(BETWEEN).map(lambda pair: {"between": pair}),
        "where": st.sampled_from(
            [{"where": each} for each in (prop("plan") == "gold", prop("n") > trait("n"), prop("n") >= 0, ~prop("no.such").exists())]
        ),
    }
    return _of_sequences(windows) | {
        f"did {window} {bound}": st.builds(lambda name, w, b: did(name, **w, **b), st.sampled_from(EVENTS), windows[window], bounds[bound])
        for window in windows
        for bound in bounds
    }


def _of_sequences(windows: dict[str, SearchStrategy[Any]]) -> dict[str, SearchStrategy[Any]]:
    """Long enough that some of those who live here do one after the other; short ones are in test_conditions.py."""
    followed = st.fixed_dictionaries({"then": st.sampled_from(EVENTS), "within": st.sampled_from((days(30), days(3650)))})
    limits: dict[str, SearchStrategy[Any]] = {
        "": st.just({}),
        "in a window": st.one_of(*windows.values()),
        "of such": st.sampled_from((prop("n") >= 0, ~prop("no.such").exists())).map(lambda each: {"then_where": each}),
        "at_least": st.just({"at_least": 1}),
        "at_most": st.just({"at_most": 0}),
        "total": st.just({"total": prop("n"), "at_least": 1}),
    }
    names = st.sampled_from(EVENTS)
    return {f"did then {kind}": st.builds(lambda name, f, b: did(name, **f, **b), names, followed, limits[kind]) for kind in limits}


def _of_others() -> dict[str, SearchStrategy[Any]]:
    things: dict[str, SearchStrategy[Any]] = {
        "near": st.sampled_from((near(48.0, 9.99, 50), near(48.0, 9.99, 40), near(-90, 180, 1))),
        "has": st.sampled_from(CHANNELS).map(has),
        "in_segment": st.sampled_from(SEGMENTS).map(in_segment),
        "subscribed": st.sampled_from(TOPICS).map(subscribed),
        "sample": st.sampled_from((sample(33.33), sample(50), sample(50, salt="ä"))),
        "and": st.just((trait("n") >= 0) & has("email")),
        "or": st.just((trait("n") >= 0) | has("email")),
        "not": st.just(~((trait("n") >= 0) & (trait("plan") == "gold"))),
    }
    states: tuple[Literal["sent", "delivered", "opened", "clicked"], ...] = ("sent", "delivered", "opened", "clicked")
    for state in states:
        things[f"{state} step"] = st.just(MessageWas(state, step="welcome"))
        things[f"{state} template"] = st.sampled_from(("welcome", "nps")).map(_of_template(state))
    return things


THINGS = asked()
# There is no event outside of .where; and what somebody did by now is never after a later moment.
ONE_WAY = {"prop outside", "last_did after ahead"}


@pytest.fixture(scope="module")
def house(postgres: Any) -> Iterator[House]:
    postgres.create_database("every_kind", template="migrated")
    with asyncio.Runner() as runner:
        opened = House(postgres.database_url("every_kind"), runner)
        yield opened
        opened.run(opened.database.close())
    postgres.drop_database("every_kind")


class _EnoughError(Exception):
    """Everything came out both ways."""


def test_both_readers_agree_on_every_kind_of_condition_and_each_comes_out_both_ways(house: House) -> None:
    """Everything is asked of a dozen people; then more and more people are asked what has come out only one way so far."""
    seen: Counter[tuple[str, bool]] = Counter()
    lived: list[Facts] = []

    def wanted(name: str) -> bool:
        return len(lived) <= ROUNDS or (name not in ONE_WAY and not (seen[name, True] and seen[name, False]))

    @seed(7)
    @settings(max_examples=MOST_ROUNDS, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(lively(), MOMENTS, st.fixed_dictionaries(THINGS))
    def ask(known: Facts, at: datetime, each_thing: dict[str, AnyCondition]) -> None:
        lived.append(known)
        left = {name: condition for name, condition in each_thing.items() if wanted(name)}
        for (name, condition), answer in zip(left.items(), house.run(house.answers(known, list(left.values()), at=at)), strict=True):
            assert answer == evaluate(condition, known, at), f"{name}: {condition}"
            seen[name, answer] += 1
        if not any(wanted(name) for name in THINGS):
            raise _EnoughError

    with suppress(_EnoughError):
        ask()
    missing = [(name, way) for name in THINGS if name not in ONE_WAY for way in (True, False) if not seen[name, way]]
    assert missing == [], missing


def test_no_kind_of_condition_or_expression_is_forgotten() -> None:
    drawn: set[str] = set()

    @settings(max_examples=60, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(st.fixed_dictionaries(THINGS))
    def collect(each_thing: dict[str, AnyCondition]) -> None:
        drawn.update(type(node).__name__ for each in each_thing.values() for node in nodes_in(each))

    collect()
    assert {each.__name__ for each in _kinds()} <= drawn


def _kinds() -> list[type[Node]]:
    """Every class that a condition can be made of; neither reader reads SQL of an author."""
    found = [each for each in vars(conditions).values() if isinstance(each, type) and issubclass(each, Node) and hasattr(each, "kind")]
    return [each for each in found if each is not conditions.Statement]
