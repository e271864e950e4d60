"""Which accounts a message may leave through, and in which order."""

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.routes import Route, Wanted, route

COUNTRIES = st.sampled_from(["DE", "AT", "FR", None])
CLASSES = st.sampled_from(["marketing", "transactional"])
ROUTES = st.lists(
    st.builds(
        Route,
        name=st.sampled_from([f"account-{number}" for number in range(8)]),
        provider=st.sampled_from(["ses", "postmark", "twilio"]),
        place=st.integers(1, 3),
        weight=st.integers(0, 10),
        countries=st.frozensets(st.sampled_from(["DE", "AT", "FR"]), max_size=2),
        classes=st.frozensets(CLASSES, max_size=2),
    ),
    max_size=8,
    unique_by=lambda each: each.name,
)
WANTED = st.builds(
    Wanted,
    key=st.uuids().map(str),
    message_class=CLASSES,
    country=COUNTRIES,
    provider=st.sampled_from([None, "ses", "account-1"]),
)


def names(*routes: Route, wanted: Wanted) -> list[str]:
    return [each.name for each in route(routes, wanted)]


@pytest.mark.parametrize("weights", [(9, 1), (5, 3, 2, 0)])
def test_the_weights_hold_over_100_000_ids(weights: tuple[int, ...]) -> None:
    """Five standard deviations of a share of so many are below 0.8 of a percent."""
    accounts = [Route(f"a{place}", "ses", weight=weight) for place, weight in enumerate(weights)]
    first = Counter(route(accounts, Wanted(str(UUID(int=number)), "marketing"))[0].name for number in range(100_000))
    for place, weight in enumerate(weights):
        assert first[f"a{place}"] / 100_000 == pytest.approx(weight / sum(weights), abs=0.008)


def test_the_second_choice_is_shared_by_weight_too() -> None:
    """Who stands in for an account that is away is no single other one."""
    accounts = [Route(name, "ses", weight=weight) for name, weight in (("away", 10), ("b", 3), ("c", 1))]
    second = Counter(
        found[1].name
        for number in range(20_000)
        if (found := route(accounts, Wanted(str(UUID(int=number)), "marketing")))[0].name == "away"
    )
    assert second["b"] / second.total() == pytest.approx(0.75, abs=0.025)


@given(ROUTES, WANTED)
def test_a_message_meets_the_same_order_whoever_asks_and_every_account_that_serves_it(routes: list[Route], wanted: Wanted) -> None:
    found = route(routes, wanted)
    assert route(list(reversed(routes)), wanted) == found
    assert [each.place for each in found] == sorted(each.place for each in found)
    for each in routes:
        serves = (
            (not each.classes or wanted.message_class in each.classes)
            and (not each.countries or wanted.country in each.countries)
            and wanted.provider in {None, each.name, each.provider}
        )
        assert (each in found) is serves


@given(ROUTES, WANTED)
def test_an_account_more_moves_no_message_between_the_others(routes: list[Route], wanted: Wanted) -> None:
    more = Route("another", "ses", weight=5)
    assert [each for each in route([*routes, more], wanted) if each is not more] == list(route(routes, wanted))


def test_places_come_before_weights_and_nobody_is_an_empty_list() -> None:
    accounts = (Route("second", "ses", place=2, weight=1000), Route("first", "postmark", place=1, weight=0))
    assert names(*accounts, wanted=Wanted("id", "marketing")) == ["first", "second"]
    assert names(*accounts, wanted=Wanted("id", "marketing", provider="ses")) == ["second"]
    assert names(*accounts, wanted=Wanted("id", "marketing", provider="first")) == ["first"]
    assert names(*accounts, wanted=Wanted("id", "marketing", provider="mailgun")) == []


def test_an_account_for_some_countries_takes_nothing_of_which_the_country_is_not_known() -> None:
    accounts = (Route("german", "sinch", countries=frozenset({"DE"})), Route("world", "twilio", place=2))
    assert names(*accounts, wanted=Wanted("id", "marketing", country="DE")) == ["german", "world"]
    assert names(*accounts, wanted=Wanted("id", "marketing", country="FR")) == ["world"]
    assert names(*accounts, wanted=Wanted("id", "marketing")) == ["world"]


def test_a_device_is_reached_by_the_best_provider_that_there_is_and_by_no_other() -> None:
    apple, google, kept = Route("a", "apns"), Route("g", "fcm"), Route("k", "sandbox", place=2)
    wanted = Wanted("id", "marketing", reached_by=("apns", "fcm"))
    assert names(google, apple, kept, wanted=wanted) == ["a", "k"]
    assert names(google, wanted=wanted) == ["g"]
    assert names(apple, wanted=Wanted("id", "marketing", reached_by=("adm",))) == []
