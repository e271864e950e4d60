"""Segments as values: what they mention, and what is refused when they are written."""

from typing import Any

import pytest

from journeys.language import (
    If,
    Journey,
    Segment,
    Wait,
    ago,
    captured,
    days,
    device,
    did,
    event,
    has,
    in_segment,
    last_did,
    location,
    near,
    opened,
    prop,
    requested,
    sample,
    segment,
    sql,
    subscribed,
    trait,
)
from journeys.language.check_segments import costly, segment_problems
from journeys.language.codec import condition_from_json, condition_to_json
from journeys.language.conditions import AnyCondition
from journeys.language.errors import Invalid
from journeys.language.listening import coming_into
from journeys.language.segments import Mentions, asks_sql, listened_to, mentions, reached, subjects


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


@pytest.mark.parametrize(
    ("condition", "about"),
    [
        (trait("plan") == "gold", ("attribute:plan",)),
        (trait("items.0.price") > 1, ("attribute:items",)),
        (near(1, 1, 1), ("attribute:location",)),
        (did("a", then="b", within=days(1)), ("event:a", "event:b")),
        (trait("born").before(ago(days(1))), ("attribute:born", "timezone")),  # a date without a zone is of the person's wall
        (did("a", between=(trait("x"), trait("y"))), ("attribute:x", "attribute:y", "event:a", "timezone")),
        (has("push") & subscribed("news") & opened(template="t"), ("consents", "endpoints", "messages")),
        (sample(10), ("identity",)),
    ],
)
def test_a_change_matters_to_a_segment_by_what_it_is_about(condition: AnyCondition, about: tuple[str, ...]) -> None:
    assert subjects({"it": condition}) == about


def test_a_segment_is_about_what_those_are_about_that_it_names() -> None:
    everything: dict[str, AnyCondition | str] = {"outer": in_segment("inner") & has("push"), "inner": did("a") | in_segment("friends")}
    everything |= {"friends": "listed", "stranger": sql("SELECT 'x'")}
    meant = reached("outer", everything)
    assert sorted(meant) == ["friends", "inner", "outer"]
    assert subjects(meant) == ("endpoints", "event:a", "list:friends")
    assert [asks_sql(meant), asks_sql(everything)] == [False, True]


@pytest.mark.parametrize(
    ("journey", "names"),
    [
        ({"starts_on": segment("a")}, ("a",)),
        ({"starts_on": requested(), "exits_on": ~in_segment("b")}, ("b",)),
        ({"starts_on": event("segment_left").where((prop("segment") == "b") & (prop("x") == 1))}, ("b",)),
        ({"starts_on": event("segment_entered")}, ("a", "b")),
        ({"starts_on": event("x"), "goal": event("segment_left").where(prop("segment") == "a").within(days(1))}, ("a",)),
        ({"starts_on": event("x"), "steps": [If("in", in_segment("a"), then=[Wait("w", days(1))])]}, ()),  # asked, not listened to
        ({"starts_on": segment("gone")}, ()),
    ],
)
def test_a_journey_listens_to_segments_by_ways_in_and_out_and_by_events(journey: dict[str, Any], names: tuple[str, ...]) -> None:
    made = Journey("j", **{"steps": [Wait("rest", days(1))], **journey})
    assert listened_to([made], ["a", "b"]) == names


def test_what_sends_a_campaign_listens_too() -> None:
    triggers = [coming_into("a"), coming_into("gone"), event("x")]
    assert listened_to([], ["a", "b"], triggers) == ("a",)
    assert listened_to([], ["a", "b"], [event("segment_left")]) == ("a", "b")
