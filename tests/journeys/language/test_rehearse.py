"""A rehearsal judges as the real rules do (activities/rules.py), in their order."""

from typing import Any

from journeys.language import Cap, Journey, QuietHours, Send, Wait, email, entry, event, hours, push, rehearse, sms
from journeys.language.rehearse import Person
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
