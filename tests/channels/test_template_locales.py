"""A template's files in several languages, and values for what is missing."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from channels import templates
from channels.render import Renderer, RenderFailed
from channels.template_locales import best, chosen, normal, spoken

APP = {"name": "Acme", "from": "Acme <hello@acme.example>"}
MAIL = {
    "subject.txt": "Hello",
    "subject.de.txt": "Hallo",
    "subject.de-at.txt": "Servus",
    "body.txt": "{% include '_partials/end.txt' %} {{ entry.on | default('2026-01-05') | date }}",
    "body.de.txt": "DE {% include '_partials/end.txt' %} {{ entry.on | default('2026-01-05') | date }}",
    "_partials/end.txt": "Bye",
    "_partials/end.de.txt": "Tschüss",
}


@pytest.fixture(scope="module")
async def renderer() -> AsyncIterator[Renderer]:
    made = Renderer(children=1)
    yield made
    await made.close()


async def mail(renderer: Renderer, files: Mapping[str, str], **variables: Any) -> tuple[str, str]:
    parts = (await renderer.render("welcome", 1, files, "email", {"app": APP, **variables})).parts
    return parts["subject"], parts["text"]


def codes(files: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(problem.pointer.removeprefix("templates/welcome/"), problem.code) for problem in templates.problems("welcome", files)]


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        (None, ("Hello", "Bye 5 January 2026")),
        ("fr-FR", ("Hello", "Bye 5 January 2026")),  # nobody wrote it in French
        ("en-US", ("Hello", "Bye January 5, 2026")),  # the language of the files, as it is written there
        ("de", ("Hallo", "DE Tschüss 5. Januar 2026")),
        ("de_DE.UTF-8", ("Hallo", "DE Tschüss 5. Januar 2026")),
        ("de-AT", ("Servus", "DE Tschüss 5. Jänner 2026")),
        ("not a locale", ("Hello", "Bye 5 January 2026")),
        (17, ("Hello", "Bye 5 January 2026")),  # an attribute of any kind
    ],
)
async def test_a_person_gets_the_nearest_language(renderer: Renderer, locale: object, expected: tuple[str, str]) -> None:
    assert await mail(renderer, MAIL, locale=locale) == expected


async def test_numbers_and_dates_are_in_the_language_of_the_text_and_not_of_its_reader(renderer: Renderer) -> None:
    files = {"subject.txt": "a", "body.txt": "{{ 1234.5 | money('EUR') }} {{ locale }}", "template.toml": "locale = 'fr'"}
    assert await mail(renderer, files, locale="de") == ("a", "1 234,50 € fr")
    assert await mail(renderer, files, locale="fr-CH") == ("a", "1 234,50 € fr-ch")


def test_a_template_in_several_languages_is_in_order() -> None:
    assert codes(MAIL) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"subject.fr.txt": "Salut"}, ("body.txt", "mixed_languages")),
        ({"sms.fr.txt": "Salut"}, ("sms.fr.txt", "no_default_file")),
        ({"template.de.toml": ""}, ("template.de.toml", "unknown_file")),
        ({"body.de.txt": "{{ user.name }}"}, ("body.de.txt", "no_default")),
        ({"body.de.txt": "{% if"}, ("body.de.txt", "syntax")),
    ],
)
def test_a_fault_in_one_language_names_its_file(changed: dict[str, str], expected: tuple[str, str]) -> None:
    assert expected in codes(MAIL | changed)


def test_each_language_must_show_how_to_leave() -> None:
    both = {"subject.txt": "a", "body.txt": "{{ links.unsubscribe }}", "body.de.txt": "{{ links.unsubscribe }}", "subject.de.txt": "b"}
    assert templates.shows_unsubscribe(both)
    assert not templates.shows_unsubscribe(both | {"body.de.txt": "Tschüss"})


async def test_what_is_missing_has_the_value_of_template_toml(renderer: Renderer) -> None:
    settings = '[defaults]\nuser.first_name = "friend"\n"user.address.city" = "your city"\nentry.lines = []\n'
    files = {
        "subject.txt": "{{ user.first_name }}",
        "body.txt": "{{ user.address.city }}{% for line in entry.lines %}{{ line }}{% endfor %}",
        "template.toml": settings,
    }
    assert codes(files) == []
    assert await mail(renderer, files) == ("friend", "your city")
    assert await mail(renderer, files, user={"first_name": "", "address": {"street": "x"}}) == ("friend", "your city")
    assert await mail(renderer, files, user={"first_name": "Ann", "address": {"city": "Graz"}}, entry={"lines": [1]}) == ("Ann", "Graz1")
    with pytest.raises(RenderFailed, match="missing_variable:city"):
        await mail(renderer, files, user={"address": "a text"})


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ('[defaults]\nuser.name = "x"', "default_unused"),
        ('required = ["user.first_name"]\n[defaults]\nuser.first_name = "x"', "required_has_default"),
        ('[defaults]\nprofile.name = "x"', "bad_file"),
        ("defaults = 3", "bad_file"),
        ("locale = 'English'", "bad_file"),
    ],
)
def test_settings_that_cannot_be_meant_are_told(settings: str, code: str) -> None:
    files = {"sms.txt": "{{ user.first_name | default('x') }}", "template.toml": settings}
    assert ("template.toml", code) in codes(files)


def test_locales_are_matched_from_their_most_exact_form() -> None:
    assert normal("zh_Hant_TW") == "zh-hant-tw"
    assert best("zh-hant-tw", {"zh", "zh-hant", "en"}) == "zh-hant"
    assert best("de", {"de-at"}) == ""
    assert chosen(["a.txt", "a.de.txt"], "de-ch") == {"a.txt": "a.de.txt"}
    assert spoken("de-at", "de") == "de-at"
    assert spoken("fr", "de") == "de"
