"""What differs between two versions of a journey, as people read it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings

from journeys.language import (
    ALWAYS,
    Arm,
    Cap,
    Case,
    If,
    Journey,
    QuietHours,
    Repeat,
    Send,
    SendWindow,
    Split,
    Switch,
    Wait,
    WaitFor,
    at,
    captured,
    days,
    email,
    entry,
    event,
    has,
    hours,
    prop,
    push,
    sms,
    trait,
)
from journeys.language.codec import plain
from journeys.language.diff import differences, stays
from tests.journeys.journey_strategies import journeys

HELLO, WAIT, MORE = Send("hello", email("hello")), Wait("settle_in", days(1)), Send("more", email("more"))


def told(before: Sequence[Any], after: Sequence[Any]) -> list[str]:
    """Each difference as plan prints it: its kind, the step, and the words."""
    found = differences(journey(*before), journey(*after))
    return [f"{each.kind} {each.step or 'journey'}: {each.words}" for each in found]


def journey(*steps: Any, **fields: Any) -> Journey:
    return Journey("welcome", **{"starts_on": event("signed_up"), "steps": list(steps), **fields})


def test_an_added_and_a_removed_step_are_told_with_their_place() -> None:
    assert told([HELLO, WAIT], [HELLO, MORE]) == ["added more: email: more, after hello", "removed settle_in: wait 1 day"]


def test_a_changed_field_is_told_with_what_it_was() -> None:
    assert told([HELLO, WAIT], [HELLO, Wait("settle_in", days(2))]) == ["changed settle_in: duration is 2 days, was 1 day"]
    assert told([HELLO], [Send("hello", push("hello"), topic="news")]) == [
        "changed hello: message is push: hello, was email: hello",
        "changed hello: topic is news, was nothing",
    ]


def test_a_step_of_another_kind_is_told_as_such() -> None:
    assert told([HELLO, WAIT], [HELLO, Send("settle_in", sms("hello"))]) == [
        "changed settle_in: is Send (sms: hello), was Wait (wait 1 day)"
    ]


def test_two_steps_that_change_places_are_one_move() -> None:
    assert told([HELLO, WAIT, MORE], [HELLO, MORE, WAIT]) == ["moved more: stands after hello; stood after settle_in"]


def test_a_step_that_goes_into_a_branch_is_moved() -> None:
    inside = If("app", has("push"), then=[MORE], otherwise=[])
    assert told([HELLO, MORE], [HELLO, inside]) == [
        "added app: has push?, after hello",
        "moved more: stands in then of app, first; stood after hello",
    ]


def test_a_step_that_only_has_another_name_is_renamed() -> None:
    assert told([HELLO, WAIT], [HELLO, Wait("pause", days(1))]) == [
        "renamed pause: was settle_in: a step of its own, which those inside have not seen"
    ]


def test_weights_cases_and_moments_are_told_in_words() -> None:
    def split(weight: int) -> Split:
        return Split("offer", arms=[Arm("a", weight, [HELLO]), Arm("b", 100 - weight, [])])

    assert told([split(50)], [split(30)]) == ["changed offer: arms is a 30 %, b 70 %, was a 50 %, b 50 %"]
    first = Switch("which", cases=[Case(trait("plan") == "pro", [HELLO])])
    assert told([first], [Switch("which", cases=[Case(trait("plan") == "gold", [HELLO])])]) == [
        "changed which: cases is the user's plan is gold, was the user's plan is pro"
    ]
    until = [Wait("until", until=moment) for moment in (entry("starts_at") - hours(24), at("09:00"))]
    assert told(until[:1], until[1:]) == ["changed until: until is the next 09:00, was 1 day before the entry's starts_at"]
    waits = [WaitFor("back", event(name), within=days(3)) for name in ("paid", "paid_late")]
    assert told(waits[:1], waits[1:]) == ["changed back: events is paid_late, was paid"]
    repeats = [Repeat("again", [MORE], times=times, until=captured("back", "score").exists()) for times in (2, 3)]
    assert told([waits[0], repeats[0]], [waits[0], repeats[1]]) == ["changed again: times is 3, was 2"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (
            "starts_on",
            event("joined") | event("signed_up").where(prop("plan") == "pro"),
            "joined or signed_up (plan is pro), was signed_up",
        ),
        ("exits_on", event("closed") | (trait("plan") == "gold"), "closed, or as soon as the user's plan is gold, was nothing"),
        ("again_after", ALWAYS, "always, was nothing"),
        ("goal", event("paid").within(days(14)), "paid within 2 weeks, was nothing"),
        ("holdout", 10, "10, was 0"),
        ("quiet_hours", QuietHours("21:00", "08:00", then="skip"), "21:00 to 08:00, then skip, was nothing"),
        (
            "send_window",
            SendWindow("09:00", "17:00", days=["monday", "tuesday", "friday"]),
            "09:00 to 17:00 on Monday, Tuesday and Friday, then wait, was nothing",
        ),
        ("send_window", SendWindow("00:00", "00:00", days=["sunday"]), "the whole day on Sunday, then wait, was nothing"),
        (
            "caps",
            [Cap(2, per="week", topic="news", counts="everything")],
            "2 per week on news, transactional ones counted, was nothing",
        ),
        ("caps", [Cap(3, per=days(7), channel="email"), Cap(1, per="day")], "3 per 7 days by email, 1 per day, was nothing"),
        ("message_class", "transactional", "transactional, was marketing"),
    ],
)
def test_a_field_of_the_journey_is_told_in_words(field: str, value: Any, words: str) -> None:
    [found] = differences(journey(HELLO), journey(HELLO, **{field: value}))
    assert (found.step, found.words) == (None, f"{field} is {words}")


@settings(max_examples=25)
@given(journeys())
def test_a_journey_does_not_differ_from_itself(one: Journey) -> None:
    assert differences(one, one) == []


@settings(max_examples=25)
@given(journeys(), journeys())
def test_any_two_different_journeys_differ_in_words(one: Journey, other: Journey) -> None:
    written = [{key: value for key, value in plain(each).items() if key != "name"} for each in (one, other)]
    found = differences(one, other)
    assert bool(found) == (written[0] != written[1])
    assert all(each.words for each in found)


def test_who_stands_at_a_step_that_stays_could_be_moved() -> None:
    assert stays(journey(HELLO, WAIT), journey(HELLO, MORE, WAIT), "settle_in") is None


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (journey(HELLO), "no_such_step"),
        (journey(HELLO, Send("settle_in", sms("hello"))), "other_kind"),
        (journey(HELLO, WAIT, key=prop("order_id")), "other_key"),
        (journey(HELLO, Split("offer", arms=[Arm("a", 50, [WAIT]), Arm("b", 50, [])])), "other_arm"),
    ],
)
def test_who_could_not_be_moved_is_told_why(after: Journey, reason: str) -> None:
    assert stays(journey(HELLO, WAIT), after, "settle_in") == reason
