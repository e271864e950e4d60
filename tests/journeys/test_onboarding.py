"""Sign-up; welcome mail; a day; the guide by push; viewed a product but did not buy within three hours: coupon by SMS."""

from dataclasses import replace

from journeys.language import ANYBODY, days, hours, minutes, rehearse
from journeys.onboarding import journey


def test_a_browser_who_does_not_buy_gets_the_coupon() -> None:
    assert rehearse(journey, [(days(2), "product_viewed")]).sent == ["welcome", "guide", "coupon"]


def test_who_never_browses_gets_no_coupon() -> None:
    assert rehearse(journey).sent == ["welcome", "guide"]


def test_who_browses_and_buys_gets_no_coupon() -> None:
    assert rehearse(journey, [(days(2), "product_viewed"), (days(2) + hours(2), "order_placed")]).sent == ["welcome", "guide"]


def test_who_bought_before_browsing_gets_no_coupon() -> None:
    assert rehearse(journey, [(hours(1), "order_placed"), (days(2), "product_viewed")]).sent == ["welcome", "guide"]


def test_three_hours_and_a_minute_are_too_late_to_buy() -> None:
    late = days(2) + hours(3) + minutes(1)
    assert rehearse(journey, [(days(2), "product_viewed"), (late, "order_placed")]).sent == ["welcome", "guide", "coupon"]


def test_a_view_after_a_week_is_too_late() -> None:
    assert rehearse(journey, [(days(9), "product_viewed")]).sent == ["welcome", "guide"]


def test_who_has_no_app_gets_the_guide_by_mail() -> None:
    without_app = replace(ANYBODY, channels=("email", "sms"))
    assert rehearse(journey, user=without_app).sent == ["welcome", "guide_mail"]


def test_the_guide_that_the_provider_refuses_goes_by_mail() -> None:
    assert rehearse(journey, refused=["guide"]).sent == ["welcome", "guide_mail"]


def test_closing_the_account_ends_it() -> None:
    left = rehearse(journey, [(hours(12), "account_closed")])
    assert left.sent == ["welcome"]
    assert left.ended == "exited: account_closed"
