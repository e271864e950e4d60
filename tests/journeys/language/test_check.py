"""What `problems` finds: everything at once, each with its journey, step and remedy."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from journeys.catalogue import JOURNEYS
from journeys.language import (
    ALWAYS,
    Arm,
    Call,
    Cap,
    Case,
    Exit,
    If,
    Journey,
    QuietHours,
    Repeat,
    Send,
    SendWindow,
    Split,
    Switch,
    Update,
    Wait,
    WaitFor,
    ago,
    at,
    best_time,
    captured,
    date,
    days,
    did,
    email,
    entry,
    event,
    has,
    hours,
    in_segment,
    last_did,
    near,
    once,
    prop,
    request,
    requested,
    schedule,
    segment,
    sent,
    trait,
)  # fmt: skip
from journeys.language.check import problems, warnings
from journeys.language.errors import Invalid
from journeys.language.steps import AnyStep
from tests.journeys.journey_strategies import journeys

X = event("x")
HELLO = Send("hello", email("hello"))


def codes(*steps: Any, name: str = "checked", **fields: Any) -> list[tuple[str, str]]:
    """(step or field, code) of each problem of a journey with these steps."""
    try:
        Journey(name, **{"starts_on": X, "steps": steps or [HELLO], **fields})
    except Invalid as invalid:
        return [(problem.pointer.partition("/")[2], problem.code) for problem in invalid.problems]
    return []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "Cart Recovery"}, ("", "name_not_kebab")),
        ({"steps": []}, ("", "no_steps")),
        ({"holdout": 100}, ("", "holdout_percent")),
        ({"holdout": 0.001}, ("", "holdout_percent")),
        ({"starts_on": segment("vip"), "key": prop("id")}, ("", "key_without_event")),
        ({"ends_after": days(0)}, ("", "no_duration")),
        ({"again_after": days(-1)}, ("", "no_duration")),
        ({"goal": X.within(days(0))}, ("", "no_duration")),
        ({"caps": [Cap(3, per=hours(0))]}, ("", "no_duration")),
        ({"quiet_hours": QuietHours("10:00", "09:00")}, ("", "quiet_too_long")),
        ({"send_window": SendWindow("09:00", "17:00", days=[])}, ("", "window_days")),
        ({"send_window": SendWindow("09:00", "17:00", days=["monday", "monday"])}, ("", "window_days")),
        ({"quiet_hours": QuietHours("21:00", "08:00"), "send_window": SendWindow("22:00", "06:00")}, ("", "never_permitted")),
        ({"starts_on": X.where(entry("n") == 1)}, ("starts_on", "not_known_here")),
        ({"starts_on": X.where(trait("n") == 1)}, ("starts_on", "where_asks_more")),
        ({"starts_on": date(entry("on"))}, ("starts_on", "not_known_here")),
        ({"exits_on": prop("n") == 1}, ("exits_on", "prop_outside_event")),
        ({"exits_on": captured("nobody", "n") == 1}, ("exits_on", "captured_unknown")),
        ({"exits_on": X | X.any_key()}, ("exits_on", "any_key_mixed")),
        ({"exits_on": event(" ")}, ("exits_on", "event_without_name")),
        ({"goal": X.where(has("push")).within(days(1))}, ("goal", "where_asks_more")),
    ],
)
def test_a_field_is_wrong(fields: dict[str, Any], expected: tuple[str, str]) -> None:
    assert codes(**fields) == [expected]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (Send("s", email("s"), quiet_hours=QuietHours("10:00", "09:00")), "quiet_too_long"),
        (Send("s", email("s"), quiet_hours=QuietHours("08:00", "20:00"), send_window=SendWindow("09:00", "17:00")), "never_permitted"),
        (Wait("now", days(1)), "id_reserved"),
        (Wait("1st", days(1)), "id_not_plain"),
        (Wait("w", days(0)), "no_duration"),
        (Wait("w", days(541)), "longer_than_journey"),
        (Wait("w"), "duration_or_until"),
        (Wait("w", days(1), until=at("09:00")), "duration_or_until"),
        (Wait("w", days(1), if_past=[HELLO]), "if_past_without_until"),
        (Wait("w", until=best_time(within=hours(0))), "no_duration"),
        (Wait("w", until=captured("later", "on")), "captured_unknown"),
        (WaitFor("w", within=days(1)), "events_or_cases"),
        (WaitFor("w", X, cases=[Case(X, [])], within=days(1)), "events_or_cases"),
        (WaitFor("w", cases=[Case(X, [])], within=days(1), then=[HELLO]), "then_beside_cases"),
        (WaitFor("w", cases=[Case(has("push"), [])], within=days(1)), "case_without_event"),
        (WaitFor("w", X), "within_or_until"),
        (WaitFor("w", X, within=days(0)), "no_duration"),
        (WaitFor("w", X, within=days(1), since="later"), "since_unknown"),
        (WaitFor("w", X, within=days(1), since="w"), "since_unknown"),
        (WaitFor("w", X.where(did("y")), within=days(1)), "where_asks_more"),
        (WaitFor("w", X.where(prop("on").before(ago(days(1)))), within=days(1)), "where_asks_more"),
        (If("i", prop("n") == 1), "prop_outside_event"),
        (If("i", trait("a..b") == 1), "path_empty_part"),
        (If("i", trait("a") == "\0"), "text_with_nul"),
        (If("i", trait("a") > True), "no_order"),
        (If("i", last_did("x") == "2026-01-01"), "time_and_literal"),
        (If("i", trait("a").is_in([])), "is_in_nothing"),
        (If("i", trait("a").starts_with(1)), "starts_with_no_text"),
        (If("i", near(91, 0, 1)), "near_no_place"),
        (If("i", did("x", at_least=3, at_most=2)), "bounds_cross"),
        (If("i", did("x", at_least=0)), "always_true"),
        (If("i", did("x", total=prop("n"))), "total_without_bound"),
        (If("i", did("x", last=days(0))), "no_duration"),
        (If("i", did("x", last=days(1), since="entry")), "several_windows"),
        (If("i", did("")), "event_without_name"),
        (If("i", sent()), "step_or_template"),
        (If("i", sent(step="later")), "no_such_send"),
        (If("i", ~(has("push") | (trait("a") == captured("i", "x")))), "captured_unknown"),
        (Switch("s", cases=[]), "no_cases"),
        (Switch("s", cases=[Case(X, [])]), "case_with_event"),
        (Split("s", arms=[Arm("a", 50, []), Arm("b", 49, [])]), "weights_not_100"),
        (Split("s", arms=[Arm("a", 50, []), Arm("a", 50, [])]), "arm_not_unique"),
        (Split("s", arms=[Arm("a", 150, []), Arm("b", -50, [])]), "weight_percent"),
        (Repeat("r", [HELLO]), "no_end"),
        (Repeat("r", [HELLO], times=0), "no_times"),
        (Repeat("r", [], times=1), "no_steps"),
        (Repeat("r", [HELLO], until=has("push")), "never_waits"),
        (Update("u", {}), "nothing_to_update"),
        (Call("c", request("POST", "ftp://example.com")), "no_url"),
        (Exit("e", " "), "no_reason"),
        (Send("s", email("Welcome Mail")), "template_name"),
        (Send("s", email("a"), to=prop("address")), "prop_outside_event"),
        (Send("s", email("a"), to=" "), "no_address"),
    ],
)
def test_a_step_is_wrong(step: Any, code: str) -> None:
    assert codes(step) == [(step.id, code)]


def test_two_steps_with_one_id_are_named_once() -> None:
    assert codes(HELLO, If("i", has("push"), then=[HELLO])) == [("hello", "id_not_unique")]


def test_steps_behind_an_exit_are_never_reached() -> None:
    assert codes(Exit("e", "done"), HELLO) == [("hello", "unreachable")]


def test_steps_behind_a_choice_of_which_every_branch_exits_are_never_reached() -> None:
    leaves = If("i", has("push"), then=[Exit("a", "done")], otherwise=[WaitFor("w", X, within=days(1), then=[Exit("b", "b")])])
    assert codes(leaves, HELLO) == []
    leaves = If("i", has("push"), then=[Exit("a", "done")], otherwise=[Wait("w", days(1), then=[Exit("b", "b")])])
    assert codes(leaves, HELLO) == [("hello", "unreachable")]


def test_what_another_branch_captured_is_not_known() -> None:
    caught = WaitFor("caught", X, within=days(1))
    asks = If("asks", captured("caught", "n") == 1)
    assert codes(If("i", has("push"), then=[caught], otherwise=[asks])) == [("asks", "captured_unknown")]
    assert codes(If("i", has("push"), then=[caught]), asks) == []


def test_a_step_that_captures_nothing_cannot_be_asked() -> None:
    assert codes(HELLO, If("i", captured("hello", "n") == 1)) == [("i", "captures_nothing")]
    assert codes(Wait("w", days(1)), If("i", captured("w", "n") == 1)) == [("i", "captures_nothing")]
    assert codes(Wait("w", days(1), reset_by=X), If("i", captured("w", "n") == 1)) == []


def test_a_repeat_may_ask_what_its_last_pass_captured() -> None:
    body: list[AnyStep] = [If("asks", captured("caught", "n") == 1), WaitFor("caught", X, within=days(1), since="entry")]
    assert codes(Repeat("r", body, times=2, until=captured("caught", "n").exists())) == []


def test_all_problems_are_raised_at_once_with_their_words() -> None:
    with pytest.raises(Invalid) as raised:
        Journey("Two", starts_on=X, steps=[Wait("w", days(0)), Split("s", arms=[])])
    assert [problem.code for problem in raised.value.problems] == ["name_not_kebab", "no_duration", "weights_not_100"]
    assert "Two/w: a wait must be longer than 0" in str(raised.value)
    assert all(problem.pointer.startswith("Two") and problem.message for problem in raised.value.problems)


def test_a_wait_for_in_a_repeat_without_since_is_worth_a_warning() -> None:
    repeating = Journey("asks", starts_on=X, steps=[Repeat("r", [HELLO, WaitFor("w", X, within=days(1))], times=2)])
    assert [(found.pointer, found.code) for found in warnings(repeating)] == [("asks/w", "since_left_out")]
    assert "since_left_out" not in [found.code for journey in JOURNEYS for found in warnings(journey)]


def test_a_message_may_name_its_provider() -> None:
    assert problems(Journey("named", starts_on=requested(), steps=[Send("p", email("p", provider="ses"))])) == []


def test_what_comes_again_and_lets_each_person_in_once_is_worth_a_warning() -> None:
    def warned(start: Any, **more: Any) -> bool:
        return "enters_once" in [found.code for found in warnings(Journey("again", starts_on=start, steps=[HELLO], **more))]

    assert warned(schedule(at("09:00"), segment="lapsed"))
    assert warned(date(trait("born_on"), every="year"))
    assert not warned(schedule(at("09:00"), segment="lapsed"), again_after=ALWAYS)
    assert not warned(schedule(once("2031-12-01T09:00"), segment="lapsed"))
    assert not warned(date(trait("renews_on")))


def test_a_segment_is_worth_a_warning_at_the_step_that_names_it() -> None:
    inner = If("inner", in_segment("vip"), then=[HELLO])
    assert [each.pointer for each in warnings(Journey("vips", starts_on=segment("gone"), steps=[HELLO]))] == ["vips/starts_on"]
    found = warnings(Journey("vips", starts_on=X, exits_on=in_segment("gone") | X, steps=[Switch("s", cases=[Case(has("push"), [inner])])]))
    assert [(each.pointer, each.code) for each in found] == [("vips/exits_on", "segment_not_known"), ("vips/inner", "segment_not_known")]


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.name)
def test_the_eight_real_journeys_have_no_problems(journey: Journey) -> None:
    assert problems(journey) == []


@settings(max_examples=30)
@given(journeys(is_run_now=True))
def test_random_journeys_of_this_version_are_run_by_it(journey: Journey) -> None:
    assert problems(journey) == []


def test_a_send_is_judged_by_its_own_hours_together_with_the_journeys() -> None:
    night = QuietHours("21:00", "08:00")
    late = Send("late", email("late"), send_window=SendWindow("22:00", "07:00"))
    assert codes(late, quiet_hours=night) == [("late", "never_permitted")]
    assert codes(replace(late, quiet_hours=QuietHours("00:00", "01:00")), quiet_hours=night) == []
