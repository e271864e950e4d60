"""A cart of 20 or more goes quiet for an hour: a reminder or a discount, a day later the app or a text."""

from dataclasses import replace
from datetime import UTC, datetime

from journeys.cart_recovery import journey
from journeys.language import ANYBODY, days, hours, minutes, rehearse
from tests.journeys.briefs import sent_at

CART = {"total": 35}
WITHOUT_APP = replace(ANYBODY, channels=("email", "sms"))


def test_a_quiet_cart_is_remembered_twice() -> None:
    for arm in ("reminder", "discount"):
        assert rehearse(journey, entry=CART, arms={"offer": arm}).sent == [arm, "nudge"]


def test_who_has_no_app_gets_a_text() -> None:
    assert rehearse(journey, entry=CART, arms={"offer": "reminder"}, user=WITHOUT_APP).sent == ["reminder", "text"]


def test_each_change_of_the_cart_starts_the_hour_over() -> None:
    busy = [(minutes(50), "cart_updated", {"total": 40}), (minutes(100), "cart_updated", {"total": 45})]
    shown = rehearse(journey, busy, entry=CART, arms={"offer": "reminder"})
    assert shown.sent == ["reminder", "nudge"]
    assert sent_at(shown, "reminder") == "Mon 2026-03-02 14:40"  # it began at 12:00


def test_what_rings_waits_for_the_morning() -> None:
    night = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    for user, step in ((ANYBODY, "nudge"), (WITHOUT_APP, "text")):
        shown = rehearse(journey, entry=CART, arms={"offer": "reminder"}, user=user, starts_at=night)
        assert (sent_at(shown, "reminder"), sent_at(shown, step)) == ("Tue 2026-03-03 00:30", "Wed 2026-03-04 08:00")


def test_an_order_ends_it() -> None:
    bought = rehearse(journey, [(hours(2), "order_placed")], entry=CART, arms={"offer": "discount"})
    assert bought.sent == ["discount"]
    assert bought.ended == "exited: order_placed"


def test_a_cart_that_shrinks_below_20_ends_it() -> None:
    emptied = rehearse(journey, [(minutes(30), "cart_updated", {"total": 19.99})], entry=CART)
    assert emptied.sent == []
    assert emptied.ended == "exited: cart_updated"


def test_an_order_after_everything_changes_nothing() -> None:
    assert rehearse(journey, [(days(3), "order_placed")], entry=CART, arms={"offer": "reminder"}).ended == "completed"
