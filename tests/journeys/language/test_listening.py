"""What a journey listens to and reads."""

from datetime import UTC, datetime

from journeys import cart_recovery, onboarding, order_status
from journeys.language import Journey, Repeat, Send, Wait, WaitFor, captured, days, email, event, has, in_segment, prop, requested, segment
from journeys.language.conditions import Or
from journeys.language.facts import EventFact

X = event("x")
HELLO = Send("hello", email("hello"))


def test_it_names_what_starts_it_and_what_it_listens_to() -> None:
    journey = order_status.journey
    assert journey.entry_names == ("order_placed",)
    assert journey.listen_names == ("order_cancelled", "order_delivered", "order_shipped")


def test_the_goal_is_listened_to_and_signals_nobody() -> None:
    journey = Journey("counts", starts_on=X, goal=event("paid").within(days(1)), steps=[HELLO])
    assert journey.listen_names == ("paid",)
    assert journey.signal_names == ()


def test_a_segment_in_a_way_out_is_listened_to() -> None:
    journey = Journey("leaves", starts_on=X, exits_on=event("gone") | ~in_segment("vip"), steps=[HELLO])
    assert journey.signal_names == ("gone", "segment_entered", "segment_left")


def test_ways_out_come_apart_into_events_and_a_condition() -> None:
    journey = Journey("leaves", starts_on=X, exits_on=event("a") | has("push") | event("b") | has("sms"), steps=[HELLO])
    assert journey.exit_events == event("a") | event("b")
    assert journey.exit_condition == Or([has("push"), has("sms")])
    assert onboarding.journey.exit_condition is None


def test_a_journey_of_a_segment_starts_on_our_event_and_on_that_segment_alone() -> None:
    journey = Journey("back", starts_on=segment("lapsed"), steps=[HELLO])
    assert (journey.entry_names, journey.entry_events) == (("segment_entered",), None)
    assert journey.starting_events == event("segment_entered").where(prop("segment") == "lapsed")


def test_a_journey_without_events_has_no_entry_names() -> None:
    assert Journey("asked", starts_on=requested(), steps=[HELLO]).entry_names == ()


def test_of_an_event_that_only_ends_it_the_key_and_the_where_are_read() -> None:
    assert order_status.journey.reads["order_cancelled"] == ("order_id",)
    assert cart_recovery.journey.reads["order_placed"] == ()


def test_of_an_event_that_a_later_mail_may_show_everything_is_read() -> None:
    assert cart_recovery.journey.reads["cart_updated"] is None
    assert order_status.journey.reads["order_shipped"] is None


def test_of_a_captured_event_that_no_mail_can_show_only_what_conditions_ask_is_read() -> None:
    journey = Journey(
        "asks",
        starts_on=X,
        steps=[
            HELLO,
            WaitFor("answer", event("answered").where(prop("poll.id") == 7), within=days(1)),
            Wait("on", until=captured("answer", "again.on"), then=[]),
        ],
    )
    assert journey.reads == {"answered": ("again", "poll")}


def test_in_a_repeat_a_mail_before_the_wait_comes_after_it_too() -> None:
    journey = Journey("asks", starts_on=X, steps=[Repeat("r", [HELLO, WaitFor("w", event("y"), within=days(1), since="entry")], times=2)])
    assert journey.reads == {"y": None}


def test_an_event_travels_with_what_is_read_of_it() -> None:
    cancelled = EventFact("1", "order_cancelled", datetime(2026, 3, 2, tzinfo=UTC), {"order_id": "7", "note": "long"})
    assert order_status.journey.reduced(cancelled).properties == {"order_id": "7"}
    shipped = EventFact("1", "order_shipped", datetime(2026, 3, 2, tzinfo=UTC), {"order_id": "7", "note": "long"})
    assert order_status.journey.reduced(shipped) == shipped
