"""What is wrong with segments: what their conditions may not ask, and segments that are defined by themselves."""

import pytest

from journeys.language import captured, days, did, entry, has, in_segment, last_did, prop, sample, sent, sql, subscribed, trait
from journeys.language.check_segments import segment_problems
from journeys.language.conditions import AnyCondition, Condition


def codes(condition: Condition, **others: AnyCondition) -> list[tuple[str, str]]:
    """(segment, code) of each problem."""
    return [(each.pointer, each.code) for each in segment_problems({"checked": condition, **others})]


@pytest.mark.parametrize(
    "condition",
    [
        sql("SELECT user_id FROM users"),
        (trait("plan") == "gold") & ~sql("SELECT 1"),
        did("cart_updated", then="order_placed", within=days(3)) | sample(10),
        sent(template="welcome") & subscribed("news") & last_did("order_placed").exists(),
    ],
    ids=str,
)
def test_a_segment_may_ask_all_that_is_known_of_a_user_and_sql(condition: Condition) -> None:
    assert codes(condition) == []


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        (entry("total") > 1, "of_an_enrollment"),
        (trait("n") == captured("answer", "n"), "of_an_enrollment"),
        (did("order_placed", since="entry"), "of_an_enrollment"),
        (sent(step="welcome"), "of_an_enrollment"),
        (prop("n") == 1, "prop_outside_event"),
        (did("order_placed", where=sql("SELECT 1")), "where_asks_more"),
        (sql("  "), "sql_without_text"),
        (in_segment("gone"), "no_such_segment"),
        (in_segment("checked"), "segment_circle"),
    ],
    ids=str,
)
def test_what_a_segment_cannot_ask(condition: Condition, code: str) -> None:
    assert codes(condition) == [("checked", code)]


def test_each_segment_of_a_circle_is_told_the_way_around_and_others_are_not() -> None:
    segments: dict[str, AnyCondition] = {
        "a": has("push") & ~in_segment("b"),
        "b": in_segment("c") | in_segment("plain"),
        "c": in_segment("a"),
        "plain": has("email"),
        "outside": in_segment("a"),
    }
    found = segment_problems(segments)
    assert [(each.pointer, each.code) for each in found] == [(name, "segment_circle") for name in "abc"]
    assert "a -> b -> c -> a" in found[0].message
    assert "c -> a -> b -> c" in found[2].message
