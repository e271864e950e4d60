"""Segments as values: what they mention, and what is refused when they are written."""

import pytest

from journeys.language import (
    Segment,
    ago,
    captured,
    days,
    device,
    did,
    has,
    in_segment,
    last_did,
    location,
    near,
    opened,
    sql,
    subscribed,
    trait,
)
from journeys.language.check_segments import costly, segment_problems
from journeys.language.codec import condition_from_json, condition_to_json
from journeys.language.conditions import AnyCondition
from journeys.language.errors import Invalid
from journeys.language.segments import Mentions, mentions


@pytest.mark.parametrize(
    ("condition", "mentioned"),
    [
        (did("a", then="b", within=days(1)), Mentions(("a", "b"), (), (), (), moves_with_time=False)),
        (did("a", last=days(3)), Mentions(("a",), (), (), (), moves_with_time=True)),
        (last_did("a").before(ago(days(3))), Mentions(("a",), (), (), (), moves_with_time=True)),
        ((trait("b.c") == 1) & (trait("a") == 1) & (trait("a") == 2), Mentions((), ("a", "b.c"), (), (), moves_with_time=False)),
        ((location("city") == "x") | near(1, 1, 1), Mentions((), ("location", "location.city"), (), (), moves_with_time=False)),
        (~in_segment("x"), Mentions((), (), ("x",), (), moves_with_time=False)),
        (has("push") & (device("os") == "ios"), Mentions((), (), (), ("endpoints",), moves_with_time=False)),
        (subscribed("news") & opened(template="t"), Mentions((), (), (), ("consents", "messages"), moves_with_time=False)),
        (sql("SELECT 'x'"), Mentions((), (), (), ("sql",), moves_with_time=True)),
    ],
)
def test_a_condition_mentions_what_must_change_before_its_answer_does(condition: AnyCondition, mentioned: Mentions) -> None:
    assert mentions(condition) == mentioned
    assert condition_from_json(condition_to_json(condition)) == condition


def test_a_segment_is_checked_when_it_is_written() -> None:
    with pytest.raises(Invalid) as refused:
        Segment("No Kebab", captured("x", "y") == 1)
    assert [problem.code for problem in refused.value.problems] == ["name_not_kebab", "of_an_enrollment"]


def test_a_list_may_be_named_and_asks_nothing_of_others() -> None:
    assert segment_problems({"outer": in_segment("friends")}, ["friends"]) == []


def test_segments_that_name_each_other_many_times_are_too_large() -> None:
    layers = {f"s{number}": in_segment(f"s{number - 1}") & ~in_segment(f"s{number - 1}") for number in range(1, 12)}
    found = segment_problems({"s0": has("push"), **layers})
    assert {problem.code for problem in found} == {"segment_too_large"}
    assert "s11" in {problem.pointer for problem in found}
    assert "s3" not in {problem.pointer for problem in found}


def test_what_looks_at_events_of_all_time_is_said_through_other_segments_too() -> None:
    found = costly(in_segment("x") & did("a", last=days(1)), {"x": did("b") & ~did("b"), "friends": "listed"})
    assert [words.partition(" ")[0] for words in found] == ["did('b')"]
