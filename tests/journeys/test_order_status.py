"""An order is confirmed; shipped within ten days or the shop is told; on its way; delivered by the promised day and one, or sorry."""

from journeys.language import days, hours, rehearse
from journeys.order_status import journey

ORDER = {"order_id": "A-7"}
SHIPPED = {"order_id": "A-7", "promised_on": "2026-03-06"}


def test_a_delivered_order_is_confirmed_and_announced() -> None:
    delivered = rehearse(journey, [(days(1), "order_shipped", SHIPPED), (days(3), "order_delivered", ORDER)], entry=ORDER)
    assert delivered.sent == ["confirmed", "on_its_way"]
    assert delivered.ended == "delivered"


def test_a_parcel_that_is_late_by_a_day_is_regretted() -> None:
    late = rehearse(journey, [(days(1), "order_shipped", SHIPPED), (days(6), "order_delivered", ORDER)], entry=ORDER)
    assert late.sent == ["confirmed", "on_its_way", "sorry"]
    sorry_at = next(line.at for line in late.lines if line.step == "sorry")
    assert f"{sorry_at:%Y-%m-%d %H:%M}" == "2026-03-07 00:00"


def test_a_promise_without_a_date_is_a_promise_broken() -> None:
    vague = rehearse(journey, [(days(1), "order_shipped", ORDER)], entry=ORDER)
    assert vague.sent == ["confirmed", "on_its_way", "sorry"]


def test_an_order_that_is_stuck_is_told_to_the_shop() -> None:
    assert rehearse(journey, entry=ORDER).sent == ["confirmed", "chase"]


def test_another_order_does_not_count() -> None:
    other = {"order_id": "B-8", "promised_on": "2026-03-06"}
    others = [(days(1), "order_shipped", other), (days(2), "order_cancelled", other)]
    assert rehearse(journey, others, entry=ORDER).sent == ["confirmed", "chase"]


def test_a_cancelled_order_says_nothing_more() -> None:
    cancelled = rehearse(journey, [(hours(5), "order_cancelled", ORDER), (days(1), "order_shipped", SHIPPED)], entry=ORDER)
    assert cancelled.sent == ["confirmed"]
    assert cancelled.ended == "exited: order_cancelled"


def test_a_parcel_that_came_before_its_shipping_was_told_is_delivered() -> None:
    early = rehearse(journey, [(days(1), "order_delivered", ORDER), (days(2), "order_shipped", SHIPPED)], entry=ORDER)
    assert early.ended == "delivered"
