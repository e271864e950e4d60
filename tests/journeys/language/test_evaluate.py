"""What conditions mean over given facts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from journeys.language import (
    days,
    did,
    entry,
    event,
    last_did,
    near,
    prop,
    sample,
    sent,
    sql,
    trait,
)  # fmt: skip
from journeys.language.conditions import Condition
from journeys.language.errors import OutsideSegment
from journeys.language.evaluate import holds, matches, value
from journeys.language.facts import EventFact, Facts
from tests.journeys.ada import ADA, FALSE, NOW, TRUE, bought
from tests.journeys.strategies import conditions, facts, wheres


@pytest.mark.parametrize("condition", TRUE, ids=str)
def test_it_holds(condition: Condition) -> None:
    assert holds(condition, ADA, NOW)
    assert not holds(~condition, ADA, NOW)


@pytest.mark.parametrize("condition", FALSE, ids=str)
def test_it_does_not_hold(condition: Condition) -> None:
    assert not holds(condition, ADA, NOW)
    assert holds(~condition, ADA, NOW)


def test_since_entry_asks_nothing_of_somebody_who_has_not_entered() -> None:
    assert not holds(did("order_placed", since="entry", at_most=9), Facts(events=ADA.events), NOW)


def test_who_is_nobody_in_particular_is_in_no_sample() -> None:
    assert not holds(sample(100), Facts(app="demo"), NOW)


def test_sql_of_an_author_is_refused_by_name_and_with_a_remedy() -> None:
    with pytest.raises(OutsideSegment, match="in_segment"):
        holds(trait("plan").exists() & ~sql("SELECT user_id FROM users"), ADA, NOW)


def test_at_the_edge_of_time_something_can_still_follow() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    known = Facts(events=(EventFact("a", "a", last - timedelta(seconds=1)), EventFact("b", "b", last)))
    assert holds(did("a", then="b", within=days(1)), known, last)


def test_an_earlier_moment_sees_less() -> None:
    assert holds(did("order_placed", at_most=1), ADA, NOW - timedelta(days=3))
    assert not holds(sent(step="welcome"), ADA, NOW - timedelta(hours=3))


@given(conditions(), facts())
def test_no_facts_make_it_raise_and_not_is_plain_negation(condition: Condition, known: Facts) -> None:
    answer = holds(condition, known, NOW)
    assert isinstance(answer, bool)
    assert holds(~condition, known, NOW) is not answer


@pytest.mark.parametrize("strange", [float("nan"), float("inf"), 10**400, -(10**400), object()])
def test_values_that_json_cannot_hold_are_no_numbers_and_no_reason_to_raise(strange: Any) -> None:
    known = Facts(attributes={"n": strange, "location": {"latitude": strange, "longitude": strange}})
    for condition in (trait("n") == 1, trait("n") < 1, trait("n") != 1, near(1, 1, 1), trait("n").before(NOW), trait("n").contains(1)):
        assert isinstance(holds(condition, known, NOW), bool)


def test_an_event_matches_by_name_and_where() -> None:
    wanted = event("order_placed").where(prop("amount") >= entry("total")) | event("paid")
    assert matches(wanted, bought(timedelta(0), amount=30), ADA)
    assert not matches(wanted, bought(timedelta(0), amount=29), ADA)
    assert matches(wanted, EventFact("p", "paid", NOW))
    assert not matches(wanted, EventFact("p", "signed_up", NOW), ADA)


@settings(max_examples=50)
@given(wheres(), facts())
def test_any_where_can_be_asked_of_any_event(where: Condition, known: Facts) -> None:
    for each in known.events:
        assert isinstance(matches(event(each.name).where(where), each, known), bool)


def test_a_value_is_read_as_of_a_moment() -> None:
    assert value(last_did("order_placed"), ADA, NOW) == NOW - timedelta(days=1)
    assert value(last_did("order_placed"), ADA, NOW + timedelta(days=2)) == NOW + timedelta(days=1)
    assert value("a literal", ADA, NOW) == "a literal"
