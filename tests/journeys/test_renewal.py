"""A renewal is announced and charged when due; a refused charge is tried every three days, four times in all; then it is suspended."""

from typing import Any

from journeys.language import days, failed, hours, minutes, rehearse
from journeys.language.durations import Duration
from journeys.renewal import journey
from tests.journeys.briefs import sent_at

ENTRY = {"subscription_id": "S1", "renews_at": "2026-03-09T12:00:00Z", "amount": 48}
DUE = days(7)


def word(after: Duration, name: str, subscription: str = "S1") -> tuple[Duration, str, dict[str, Any]]:
    """What the payment provider, or the person, lets us know so long after the renewal was due."""
    return (DUE + after, name, {"subscription_id": subscription})


REFUSED_FOUR_TIMES = [word(days(3 * number) + minutes(number + 1), "payment_failed") for number in range(4)]


def test_a_renewal_is_announced_charged_and_receipted() -> None:
    paid = rehearse(journey, [word(minutes(2), "payment_succeeded")], entry=ENTRY)
    assert paid.sent == ["notice", "paid"]
    assert paid.called == ["charge"]
    assert sent_at(paid, "paid") == "Mon 2026-03-09 12:02"


def test_a_refused_charge_is_tried_again_after_three_days() -> None:
    paid = rehearse(journey, [word(minutes(1), "payment_failed"), word(days(3) + minutes(5), "payment_succeeded")], entry=ENTRY)
    assert paid.sent == ["notice", "failed", "paid"]
    assert paid.called == ["charge", "charge"]


def test_after_four_refusals_it_is_suspended() -> None:
    lost = rehearse(journey, REFUSED_FOUR_TIMES, entry=ENTRY)
    assert lost.sent == ["notice", "failed", "failed", "failed", "failed", "suspended"]
    assert lost.called == ["charge", "charge", "charge", "charge", "suspend"]
    assert sent_at(lost, "suspended") == "Sat 2026-03-21 12:04"


def test_money_that_comes_between_two_tries_ends_them() -> None:
    paid = rehearse(journey, [word(minutes(1), "payment_failed"), word(days(1), "payment_succeeded")], entry=ENTRY)
    assert paid.sent == ["notice", "failed", "paid"]
    assert paid.called == ["charge"]


def test_money_that_comes_in_the_last_three_days_saves_the_subscription() -> None:
    saved = rehearse(journey, [*REFUSED_FOUR_TIMES, word(days(11), "payment_succeeded")], entry=ENTRY)
    assert saved.sent[-1] == "paid"
    assert "suspend" not in saved.called


def test_a_new_card_is_tried_at_once() -> None:
    mended = [word(minutes(1), "payment_failed"), word(days(1), "payment_method_updated"), word(days(1) + minutes(1), "payment_succeeded")]
    paid = rehearse(journey, mended, entry=ENTRY)
    assert paid.called == ["charge", "charge"]
    assert sent_at(paid, "paid") == "Tue 2026-03-10 12:01"


def test_without_word_of_a_charge_nobody_charges_again_but_looks() -> None:
    silent = rehearse(journey, entry=ENTRY)
    assert silent.sent == ["notice"]
    assert silent.called == ["charge", "no_word"]
    assert silent.ended == "no word of the charge"


def test_a_charge_that_cannot_be_made_is_no_word_either() -> None:
    assert rehearse(journey, entry=ENTRY, calls={"charge": failed("no such card")}).called == ["charge", "no_word"]


def test_nobody_is_told_of_a_suspension_that_did_not_happen() -> None:
    kept = rehearse(journey, REFUSED_FOUR_TIMES, entry=ENTRY, refused=["suspend"])
    assert "suspended" not in kept.sent
    assert kept.ended == "could not be suspended"


def test_word_of_another_subscription_does_not_count() -> None:
    assert rehearse(journey, [word(minutes(2), "payment_succeeded", "S2")], entry=ENTRY).ended == "no word of the charge"


def test_without_a_date_nobody_is_charged() -> None:
    for entry in ({"subscription_id": "S1"}, {**ENTRY, "renews_at": "soon"}, {**ENTRY, "renews_at": "2026-02-20T12:00:00Z"}):
        undated = rehearse(journey, entry=entry)
        assert (undated.sent, undated.called, undated.ended) == ([], [], "no date to renew on")


def test_who_cancels_is_not_charged() -> None:
    left = rehearse(journey, [(days(6) + hours(23), "subscription_cancelled", {"subscription_id": "S1"})], entry=ENTRY)
    assert left.called == []
    assert left.ended == "exited: subscription_cancelled"
