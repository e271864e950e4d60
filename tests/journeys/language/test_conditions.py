"""Writing conditions: what combines, and what would silently mean something else and so raises with its remedy."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from journeys.language import ago, days, did, did_not, event, has, last_did, prop, trait
from journeys.language.conditions import And, Not, Or
from journeys.language.durations import Day, Instant
from journeys.language.events import Events, Exits


def test_conditions_combine_flat() -> None:
    condition = has("push") & has("email") & (has("sms") | has("voice"))
    assert isinstance(condition, And)
    assert [type(part) for part in condition.parts][2] is Or
    assert len(condition.parts) == 3


def test_not_having_done_is_the_plain_negation_of_having_done() -> None:
    assert did_not("order_placed", last=days(30)) == ~did("order_placed", last=days(30))
    assert isinstance(~has("push"), Not)


def test_events_join_to_events_and_with_conditions_to_ways_out() -> None:
    assert isinstance(event("a") | event("b"), Events)
    mixed: list[Any] = [event("a") | has("push"), has("push") | event("a"), has("push") | (event("a") | has("sms")) | event("b")]
    assert [type(each) for each in mixed] == [Exits, Exits, Exits]
    assert len(mixed[2].any_of) == 4


def test_a_where_on_joined_events_holds_for_each_and_adds_up() -> None:
    joined = (event("a") | event("b")).where(prop("n") > 1).where(prop("m") < 2)
    assert all(each.where == (prop("n") > 1) & (prop("m") < 2) for each in joined.any_of)


def test_dates_and_instants_of_python_become_tagged_values() -> None:
    assert isinstance(trait("a").before(date(2026, 3, 1)).right, Day)
    assert trait("a").after(datetime(2026, 3, 1, 12, tzinfo=UTC)).right == Instant(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("write", "remedy"),
    [
        (lambda: 10 <= trait("n") <= 20, "&"),
        (lambda: (trait("n") >= 10) and has("push"), "& | ~"),
        (lambda: (trait("n") >= 10) or has("push"), "& | ~"),
        (lambda: not has("push"), "& | ~"),
        (lambda: trait("n") >= 200 & (trait("b") == 1), "parentheses"),
        (lambda: trait("n") >= 200 | has("push"), "parentheses"),
        (lambda: (trait("n") >= 200) & trait("b") == 1, "parentheses"),
        (lambda: ~trait("n") == 1, "parentheses"),
        (lambda: bool(trait("n")), "exists"),
        (lambda: "gold" in trait("tags"), "contains"),
        (lambda: trait("n") == None, "exists"),  # noqa: E711 - what a hurried author writes
        (lambda: last_did("x") < datetime(2026, 1, 1, tzinfo=UTC), "before"),  # type: ignore[operator]
        (lambda: trait("on") >= ago(days(1)), "after"),  # type: ignore[operator]
    ],
)  # fmt: skip
def test_what_would_lose_a_half_raises_with_its_remedy(write: Callable[[], object], remedy: str) -> None:
    with pytest.raises(TypeError, match=remedy):
        write()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), [1]])
def test_a_literal_is_a_text_a_finite_number_or_a_boolean(value: Any) -> None:
    with pytest.raises(ValidationError):
        trait("a") == value  # noqa: B015 - building it is what raises
