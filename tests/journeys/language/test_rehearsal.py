"""A rehearsal judges as the real rules do (activities/rules.py), in their order."""

from datetime import timedelta
from typing import Any

import pytest

from journeys.language import Cap, Journey, QuietHours, Send, Wait, WaitFor, email, entry, event, hours, prop, push, rehearse, sms
from journeys.language.facts import EventFact
from journeys.language.rehearsal import ANYBODY, MONDAY_NOON, Person, Stage
from journeys.language.steps import AnyStep

HI, AGAIN = Send("hi", email("hi")), Send("again", email("again"))


def journey(*steps: AnyStep, **fields: Any) -> Journey:
    return Journey("tried", **{"starts_on": event("started"), "steps": list(steps), **fields})


def test_a_channel_that_somebody_closed_stays_closed_for_transactional_messages() -> None:
    played = rehearse(journey(HI, message_class="transactional"), user=Person(refuses=("email",)))
    assert played.skipped == [("hi", "opted_out")]


def test_a_topic_that_somebody_left_does_not_stop_a_transactional_message() -> None:
    played = rehearse(journey(HI, message_class="transactional"), user=Person(unsubscribed_topics=("general",)))
    assert played.sent == ["hi"]


def test_a_cap_is_asked_after_the_quiet_hours_because_it_may_have_run_out_by_then() -> None:
    steps: list[AnyStep] = [HI, Wait("evening", hours(10)), AGAIN]
    quiet = journey(*steps, quiet_hours=QuietHours("21:00", "13:00"), caps=[Cap(1, per=hours(24))])
    # The first goes at 13:00; at 23:00 the second is deferred to 13:00, and by then the cap is free again.
    assert rehearse(quiet).sent == ["hi", "again"]


def test_an_address_that_dies_takes_no_later_message() -> None:
    steps: list[AnyStep] = [Send("tip", push("tip"), otherwise=[HI]), Wait("day", hours(24)), Send("more", push("more"), otherwise=[AGAIN])]
    played = rehearse(journey(*steps), dead=["tip"])
    assert played.sent == ["hi", "again"]
    assert played.skipped == [("tip", "rejected"), ("more", "suppressed")]


def test_an_expression_that_gives_no_address_is_no_endpoint() -> None:
    elsewhere = journey(Send("hi", email("hi"), to=entry("gift_for")))
    assert rehearse(elsewhere, entry={"gift_for": "bob@example.com"}).sent == ["hi"]
    assert rehearse(elsewhere).skipped == [("hi", "no_endpoint")]


def test_a_mail_address_is_no_phone_number() -> None:
    assert rehearse(journey(Send("hi", sms("hi"), to="bob@example.com"))).skipped == [("hi", "no_endpoint")]
    assert rehearse(journey(Send("hi", sms("hi"), to="+49 151 12345678"))).sent == ["hi"]


@pytest.mark.parametrize(
    ("slow_by_s", "came_after_s", "sent"),
    [
        (0, 10, ["hi"]),
        (70, 10, ["hi"]),  # it says 60 seconds before entry: a clock that runs late is forgiven so much
        (71, 10, ["again"]),
        (10, 0, ["hi"]),  # received in the moment of entry
        (10, -1, ["again"]),  # received before it: no clock ran late, it was earlier
    ],
)
def test_a_late_clock_is_forgiven_a_minute(slow_by_s: int, came_after_s: int, sent: list[str]) -> None:
    waiting = WaitFor("seen", event("seen"), since="entry", within=hours(1), then=[HI], otherwise=[AGAIN])
    entered = EventFact("entry", "started", MONDAY_NOON, {}, 0, MONDAY_NOON)
    stage = Stage(journey(waiting), ANYBODY, entered)
    came = MONDAY_NOON + timedelta(seconds=came_after_s)
    stage.expect_event(EventFact("1", "seen", came - timedelta(seconds=slow_by_s), {}, 1, came), came)
    assert stage.run({}).sent == sent


def played(tried: Journey, *events: EventFact) -> Stage:
    """Each event comes when it was received."""
    stage = Stage(tried, ANYBODY, EventFact("entry", "started", MONDAY_NOON, {}, 0, MONDAY_NOON))
    for each in events:
        assert each.received_at is not None
        stage.expect_event(each, each.received_at)
    return stage


def seen(number: int, occurred_h: float, received_h: float, name: str = "seen") -> EventFact:
    occurred, received = (MONDAY_NOON + hours(after).timedelta for after in (occurred_h, received_h))
    return EventFact(str(number), name, occurred, {"n": number}, number, received)


def test_an_exit_event_of_before_entry_ends_nothing_however_late_it_comes() -> None:
    tried = journey(Wait("day", hours(24)), exits_on=event("closed"))
    assert played(tried, seen(1, -1, 2, "closed")).run({}).ended == "completed"
    assert played(tried, seen(1, 0, 2, "closed")).run({}).ended == "exited: closed"


def test_what_occurred_first_is_applied_first_though_it_came_later() -> None:
    tried = journey(Wait("day", hours(24)), WaitFor("one", event("seen"), since="entry", within=hours(1)))
    stage = played(tried, seen(1, 5, 5), seen(2, 3, 6), seen(3, 3, 7))
    stage.run({})
    assert stage.progress.captured["one"].properties == {"n": 2}


def test_what_came_while_a_send_was_put_off_is_no_answer_to_it() -> None:
    """By default events count from when the message was taken for sending, not from when its step was reached."""
    waiting = WaitFor("seen", event("seen"), within=hours(1), otherwise=[AGAIN])
    night = journey(Wait("evening", hours(10)), HI, waiting, quiet_hours=QuietHours("21:00", "08:00"))
    assert rehearse(night, [(hours(12), "seen")]).sent == ["hi", "again"]
    assert rehearse(night, [(hours(20.5), "seen")]).sent == ["hi"]


def test_of_many_events_the_earliest_are_kept_in_whatever_order_they_come() -> None:
    stage = played(
        journey(Wait("day", hours(24), reset_by=event("other")), exits_on=event("seen").where(prop("n") == -1)),
        *(seen(number, number / 60, 1 - number / 60) for number in range(1, 26)),
    )
    stage.run({})
    assert [known.properties["n"] for known in stage.progress.known] == list(range(1, 21))
