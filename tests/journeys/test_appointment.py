"""An appointment is confirmed; the day before at five a text; two hours before another one to who has not confirmed."""

from dataclasses import replace

from journeys.appointment import journey
from journeys.language import ANYBODY, days, hours, rehearse
from tests.journeys.briefs import sent_at

NEXT_MONDAY = {"appointment_id": "T1", "starts_at": "2026-03-09T14:30:00Z"}
CONFIRMED = (days(3), "appointment_confirmed", {"appointment_id": "T1"})


def test_who_does_not_confirm_is_reminded_twice() -> None:
    reminded = rehearse(journey, entry=NEXT_MONDAY)
    assert reminded.sent == ["booked", "tomorrow", "soon"]
    assert sent_at(reminded, "tomorrow") == "Sun 2026-03-08 17:00"
    assert sent_at(reminded, "soon") == "Mon 2026-03-09 12:30"


def test_who_confirms_is_reminded_on_the_day_before_only() -> None:
    assert rehearse(journey, [CONFIRMED], entry=NEXT_MONDAY).sent == ["booked", "tomorrow"]


def test_confirming_another_appointment_does_not_count() -> None:
    other = (days(3), "appointment_confirmed", {"appointment_id": "T2"})
    assert rehearse(journey, [other], entry=NEXT_MONDAY).sent == ["booked", "tomorrow", "soon"]


def test_who_books_for_tomorrow_in_the_evening_is_not_told_tomorrow() -> None:
    assert rehearse(journey, entry={**NEXT_MONDAY, "starts_at": "2026-03-02T20:00:00Z"}).sent == ["booked", "soon"]


def test_who_books_an_hour_ahead_gets_no_second_message_at_once() -> None:
    assert rehearse(journey, entry={**NEXT_MONDAY, "starts_at": "2026-03-02T13:00:00Z"}).sent == ["booked"]


def test_an_appointment_without_a_time_is_not_reminded_of() -> None:
    assert rehearse(journey, entry={"appointment_id": "T1"}).sent == ["booked"]


def test_who_has_no_phone_gets_tomorrows_reminder_by_mail() -> None:
    assert rehearse(journey, entry=NEXT_MONDAY, user=replace(ANYBODY, channels=("email",))).sent == ["booked", "tomorrow_mail"]


def test_a_cancelled_appointment_is_not_reminded_of() -> None:
    cancelled = rehearse(journey, [(days(1), "appointment_cancelled", {"appointment_id": "T1"})], entry=NEXT_MONDAY)
    assert cancelled.sent == ["booked"]
    assert cancelled.ended == "exited: appointment_cancelled"


def test_moving_it_ends_this_one_and_the_new_one_has_words_of_its_own() -> None:
    later = {"appointment_id": "T1", "starts_at": "2026-03-10T14:30:00Z"}
    assert rehearse(journey, [(hours(5), "appointment_moved", later)], entry=NEXT_MONDAY).ended == "exited: appointment_moved"
    assert rehearse(journey, entry=later, entered_by="appointment_moved").sent == ["moved", "tomorrow", "soon"]
