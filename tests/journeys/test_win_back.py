"""Who has not ordered for long is asked back; five days later an offer for those who used to spend, news for the others."""

from journeys.language import Person, days, rehearse
from journeys.win_back import journey

GOOD_CUSTOMER = Person(attributes={"lifetime_value": 340})


def test_a_good_customer_gets_an_offer() -> None:
    assert rehearse(journey, user=GOOD_CUSTOMER).sent == ["missed", "offer"]


def test_anybody_else_gets_the_news() -> None:
    assert rehearse(journey).sent == ["missed", "news"]
    assert rehearse(journey, user=Person(attributes={"lifetime_value": 199.99})).sent == ["missed", "news"]


def test_a_good_customer_who_ordered_not_long_ago_needs_no_discount() -> None:
    assert rehearse(journey, [(days(-60), "order_placed")], user=GOOD_CUSTOMER).sent == ["missed", "news"]
    assert rehearse(journey, [(days(-120), "order_placed")], user=GOOD_CUSTOMER).sent == ["missed", "offer"]


def test_an_order_ends_it() -> None:
    back = rehearse(journey, [(days(2), "order_placed")], user=GOOD_CUSTOMER)
    assert back.sent == ["missed"]
    assert back.ended == "exited: order_placed"


def test_who_closes_the_account_is_not_asked_again() -> None:
    assert rehearse(journey, [(days(4), "account_closed")]).sent == ["missed"]
