"""An order is confirmed; not shipped in ten days, the shop is told; on its way; not there by the morning after the promised day, sorry."""

from dataclasses import replace

from journeys.language import ANYBODY, days, hours, rehearse
from journeys.order_status import journey
from tests.journeys.briefs import sent_at

ORDER = {"order_id": "A-7"}
PROMISED = {"order_id": "A-7", "promised_on": "2026-03-06"}
SHIPPED = (days(1), "order_shipped", PROMISED)


def test_a_delivered_order_is_confirmed_and_announced() -> None:
    delivered = rehearse(journey, [SHIPPED, (days(3), "order_delivered", ORDER)], entry=ORDER)
    assert delivered.sent == ["confirmed", "on_its_way"]
    assert delivered.ended == "delivered"


def test_who_has_no_phone_hears_of_it_by_mail() -> None:
    delivered = rehearse(journey, [SHIPPED], entry=ORDER, user=replace(ANYBODY, channels=("email",)))
    assert delivered.sent == ["confirmed", "on_its_way_mail", "sorry"]


def test_a_parcel_that_is_late_by_a_day_is_regretted_in_the_morning() -> None:
    late = rehearse(journey, [SHIPPED, (days(6), "order_delivered", ORDER)], entry=ORDER)
    assert late.sent == ["confirmed", "on_its_way", "sorry"]
    assert sent_at(late, "sorry") == "Sat 2026-03-07 09:00"


def test_without_a_promised_day_no_day_is_broken() -> None:
    assert rehearse(journey, [(days(1), "order_shipped", ORDER)], entry=ORDER).sent == ["confirmed", "at_last"]


def test_a_parcel_that_leaves_after_its_promised_day_is_not_late_twice_in_a_minute() -> None:
    assert rehearse(journey, [(days(8), "order_shipped", PROMISED)], entry=ORDER).sent == ["confirmed", "at_last"]


def test_an_order_that_is_stuck_is_told_to_the_shop_and_still_listened_for() -> None:
    stuck = rehearse(journey, [(days(12), "order_shipped", {"order_id": "A-7", "promised_on": "2026-03-20"})], entry=ORDER)
    assert stuck.called == ["chase"]
    assert stuck.sent == ["confirmed", "on_its_way", "sorry"]


def test_a_ticket_that_cannot_be_opened_is_told_by_mail() -> None:
    assert rehearse(journey, [(days(12), "order_shipped", ORDER)], entry=ORDER, refused=["chase"]).sent == [
        "confirmed",
        "chase_by_mail",
        "at_last",
    ]


def test_an_order_that_never_leaves_is_chased_three_times() -> None:
    lost = rehearse(journey, entry=ORDER)
    assert lost.called == ["chase", "chase", "chase"]
    assert lost.ended == "never shipped"


def test_another_order_does_not_count() -> None:
    other = {"order_id": "B-8", "promised_on": "2026-03-06"}
    others = [(days(1), "order_shipped", other), (days(2), "order_cancelled", other)]
    assert rehearse(journey, others, entry=ORDER).ended == "never shipped"


def test_a_cancelled_order_says_nothing_more() -> None:
    cancelled = rehearse(journey, [(hours(5), "order_cancelled", ORDER), SHIPPED], entry=ORDER)
    assert cancelled.sent == ["confirmed"]
    assert cancelled.ended == "exited: order_cancelled"


def test_a_parcel_that_came_before_word_of_its_shipping_is_announced_no_more() -> None:
    early = rehearse(journey, [(hours(20), "order_delivered", ORDER), SHIPPED], entry=ORDER)
    assert early.sent == ["confirmed"]
    assert early.ended == "delivered"
