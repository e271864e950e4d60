"""Money, numbers, dates and plurals in languages. The expected forms are CLDR's, by hand."""

from datetime import date
from typing import Any

import pytest

from channels.render import Renderer
from channels.template_formats import money, number
from channels.template_language import language, named

TWO_O_CLOCK = "2026-11-24T13:05:00Z"


def said(source: str, **variables: Any) -> str:
    return language(html=False).from_string(source).render(named(variables))


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "expected"),
    [
        ("1234.5", "EUR", "en", "€1,234.50"),
        (1234.5, "usd", "en-us", "$1,234.50"),
        (-3, "EUR", "de", "-3,00 €"),
        (1234567, "EUR", "de-at", "€ 1.234.567,00"),
        (1234, "CHF", "de-ch", "CHF 1\u2019234.00"),
        (1234.5, "EUR", "fr-ca", "1 234,50 €"),
        (1234, "EUR", "es", "1234,00 €"),  # Spanish groups from five digits on
        (12345, "EUR", "es", "12.345,00 €"),
        (0.005, "BRL", "pt-br", "R$ 0,01"),  # halves go up
        (1234.5, "JPY", "ja", "¥1,235"),
        (1, "KWD", "en", "KWD 1.000"),
        (10, "SEK", "sv", "10,00 kr"),
        (10, "SEK", "en", "SEK 10.00"),
        (5, "CAD", "en-ca", "$5.00"),
        (5, "CAD", "en-us", "CA$5.00"),
        (1234.5, "EUR", "hu", "1 234.50 €"),  # a language without a table
    ],
)
def test_money_is_written_as_the_language_has_it(amount: object, currency: str, locale: str, expected: str) -> None:
    assert money(amount, currency, locale, breaks=True) == expected


def test_money_in_html_does_not_break_and_in_texts_costs_no_wider_alphabet() -> None:
    assert money(1, "EUR", "de", breaks=False) == "1,00\u00a0€"
    assert said("{{ 1 | money('EUR', 'de') }}") == "1,00 €"
    assert language(html=True).from_string("{{ 1 | money('EUR', 'de') }}").render({}) == "1,00\u00a0€"


@pytest.mark.parametrize("currency", ["", "EU", "Euro", "<b>"])
def test_what_is_no_currency_is_refused(currency: str) -> None:
    with pytest.raises(ValueError, match="three letters"):
        money(1, currency, "en", breaks=True)


def test_numbers_have_the_marks_of_the_language() -> None:
    assert number(1234.56, 1, "de", breaks=True) == "1.234,6"
    assert number("-1234", 0, "en", breaks=True) == "-1,234"


@pytest.mark.parametrize(
    ("source", "locale", "expected"),
    [
        ("{{ '2026-03-01' | date }}", "en", "1 March 2026"),
        ("{{ '2026-03-01' | date }}", "de", "1. März 2026"),
        ("{{ '2026-03-01' | date('full') }}", "fr", "dimanche 1 mars 2026"),
        ("{{ '2026-03-01' | date('full') }}", "es", "domingo, 1 de marzo de 2026"),
        ("{{ '2026-03-01' | date('short') }}", "en-us", "3/1/2026"),
        ("{{ '2026-03-01' | date('long', 'ja') }}", "en", "2026年3月1日"),
        ("{{ '2026-03-01' | date('%A %d.%m., 100 %%') }}", "it", "domenica 01.03., 100 %"),
        ("{{ '2026-03-01' | date('%b') }}", "en", "Mar"),
        ("{{ '2026-03-01' | date }}", "hu", "2026-03-01"),  # a language without a table
    ],
)
def test_dates_have_the_names_of_the_language(source: str, locale: str, expected: str) -> None:
    assert said(source, locale=locale) == expected


def test_a_moment_is_told_by_the_clock_of_its_reader() -> None:
    assert said("{{ entry.at | local | date('time') }}", entry={"at": TWO_O_CLOCK}, zone="Europe/Vienna") == "14:05"
    assert said("{{ entry.at | local | date('time') }}", entry={"at": TWO_O_CLOCK}, zone="America/New_York", locale="en-us") == "8:05 AM"
    assert said("{{ entry.at | local('Asia/Tokyo') | date('%H:%M') }}", entry={"at": TWO_O_CLOCK}, zone="Europe/Vienna") == "22:05"
    assert said("{{ entry.at | local | date('%H:%M') }}", entry={"at": "2026-11-24T09:00:00"}, zone="Asia/Tokyo") == "09:00"
    assert said("{{ entry.on | local }}", entry={"on": date(2026, 1, 2)}, zone="Asia/Tokyo") == "2026-01-02"
    assert said("{{ entry.at | date('%H:%M') }}", entry={"at": TWO_O_CLOCK}, zone="Asia/Tokyo") == "13:05"


@pytest.mark.parametrize(
    ("count", "locale", "expected"),
    [
        *((1, "en", "one"), (0, "en", "other"), (1.5, "en", "other"), ("1", "en", "one"), (-1, "en", "one")),
        *((0, "fr", "one"), (2, "fr", "other"), (1, "ja", "other")),
        *((1, "pl", "one"), (22, "pl", "few"), (12, "pl", "many"), (1.5, "pl", "other"), (21, "pl", "many")),
        *((21, "ru", "one"), (11, "ru", "many"), (3, "uk", "few"), (3, "cs", "few"), (5, "cs", "other"), (1.5, "cs", "many")),
    ],
)
def test_plurals_follow_the_rule_of_the_language(count: object, locale: str, expected: str) -> None:
    assert (
        said(
            "{{ n | plural(one='one', few='few', many='many', other='other') }}".replace("n ", "entry.n "),
            entry={"n": count},
            locale=locale,
        )
        == expected
    )


def test_two_forms_need_no_names() -> None:
    assert said("{{ 2 | plural('item', 'items') }} {{ 1 | plural('item', 'items') }}") == "items item"
    assert said("{{ 3 | plural('a', 'b', locale='pl') }}") == "b"  # the form for few was not given


@pytest.mark.parametrize("call", ["plural('a')", "plural('a', 'b', 'c')", "plural(one='a')", "plural(several='a', other='b')"])
def test_a_plural_without_its_forms_is_refused(call: str) -> None:
    with pytest.raises(Exception, match="plural has"):
        said("{{ 1 | " + call + " }}")


async def test_zones_are_known_where_no_file_can_be_opened() -> None:
    renderer = Renderer(children=1)
    files = {"sms.txt": "{% set x = 'a' * 1 if false else 1 %}{{ entry.at | local | date('%H:%M') }}"}
    try:
        content = await renderer.render("a", 1, files, "sms", {"entry": {"at": TWO_O_CLOCK}, "zone": "Australia/Lord_Howe"})
        prepared = await renderer._prepared(files, "sms", "")
    finally:
        await renderer.close()
    assert prepared.compiled is None
    assert content.parts["text"] == "00:05"
