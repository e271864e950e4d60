"""Where somebody is taken to be: their own word, else their number's, else their place's, else the app's."""

from collections.abc import Mapping
from typing import Any

import pytest

from activities.zones import Located, country_of, known_zone, locate, zone_of_country
from tests.journeys.language.test_permitted import EVERY_ZONE

BERLIN_PHONE, NEW_YORK_PHONE, NOWHERE_PHONE = "+4915112345678", "+12125551234", "+870773111632"
IN_FRANCE = {"location": {"country": "FR"}}


def found(timezone: str | None, phone: str | None, attributes: Mapping[str, Any], of_app: str | None) -> tuple[str, str, str | None]:
    located = locate(timezone, phone, attributes, {"timezone": of_app})
    return located.zone.key, located.zone_by, located.country


@pytest.mark.parametrize(
    ("timezone", "phone", "attributes", "of_app", "expected"),
    [
        ("Asia/Tokyo", BERLIN_PHONE, IN_FRANCE, "America/Lima", ("Asia/Tokyo", "attribute", "DE")),
        (None, BERLIN_PHONE, IN_FRANCE, "America/Lima", ("Europe/Berlin", "phone", "DE")),
        (None, NEW_YORK_PHONE, {}, None, ("America/New_York", "phone", "US")),
        (None, None, IN_FRANCE, "America/Lima", ("Europe/Paris", "location", "FR")),
        (None, None, {"location": {"country": "fr"}}, None, ("Europe/Paris", "location", "FR")),
        (None, None, {}, "America/Lima", ("America/Lima", "app", None)),
        (None, None, {}, None, ("UTC", "nothing", None)),
        ("Mars/Olympus", BERLIN_PHONE, {}, None, ("Europe/Berlin", "phone", "DE")),  # a zone that nobody knows is none
        (None, "no number", {}, "Mars/Olympus", ("UTC", "nothing", None)),
        (None, NOWHERE_PHONE, {}, "America/Lima", ("America/Lima", "app", None)),  # a satellite is in no country
        (None, "+61412345678", {}, None, ("Australia/Sydney", "phone", "AU")),  # a mobile of any state: where most of them live
        (None, "+79161234567", {}, None, ("Europe/Moscow", "phone", "RU")),
        (None, "+447400123456", {}, None, ("Europe/London", "phone", "GB")),  # four zones, one time
        (None, None, {"location": {"country": "US"}}, "America/Lima", ("America/Lima", "app", "US")),  # a country alone says too little
        (None, None, {"country": "at"}, "America/Lima", ("Europe/Vienna", "location", "AT")),  # the attribute that routing reads too
        (None, None, {"location": {"country": 7}}, None, ("UTC", "nothing", None)),
        (None, None, {"location": "Paris"}, None, ("UTC", "nothing", None)),
    ],
)
def test_the_first_that_is_known_says_where(
    timezone: str | None, phone: str | None, attributes: Mapping[str, Any], of_app: str | None, expected: tuple[str, str, str | None]
) -> None:
    assert found(timezone, phone, attributes, of_app) == expected


@pytest.mark.parametrize(
    ("number", "attributes", "country"),
    [
        (BERLIN_PHONE, {"country": "FR"}, "DE"),  # the number says it, whatever the person says
        ("+12025550123", {}, "US"),
        ("nonsense", {}, None),
        (NOWHERE_PHONE, {}, None),
        (NOWHERE_PHONE, {"country": "FR"}, "FR"),
        (None, {"country": "de"}, "DE"),
        (None, {"country": "AT", **IN_FRANCE}, "AT"),  # what is said of the person comes before where they are
        (None, {"country": "Austria", **IN_FRANCE}, "FR"),
        (None, {"country": "Germany"}, None),
        (None, {"country": "ßß"}, None),
        (None, {"country": 49}, None),
        (None, {"location": "FR"}, None),
        (None, {}, None),
    ],
)
def test_the_country_is_of_the_number_or_of_the_person(number: str | None, attributes: Mapping[str, Any], country: str | None) -> None:
    assert country_of(number, attributes) == country


@pytest.mark.parametrize(
    ("country", "zone"),
    [("DE", "Europe/Berlin"), ("ES", "Europe/Madrid"), ("IN", "Asia/Kolkata"), ("US", None), ("RU", None), ("ZZ", None), ("AQ", None)],
)
def test_a_country_has_a_zone_where_nearly_everybody_in_it_has(country: str, zone: str | None) -> None:
    assert zone_of_country(country) == zone


def test_every_zone_that_there_is_counts_as_somebodys() -> None:
    assert [name for name in EVERY_ZONE if known_zone(name) is None] == []
    assert all(isinstance(locate(name, None, {}, {}), Located) for name in EVERY_ZONE)
