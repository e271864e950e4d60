"""Pinpoint's Handlebars as Jinja: what it prints is compared, not how it is written. Examples of Pinpoint's own guide are named so."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels import templates
from channels.handlebars import path_of, translated
from channels.template_language import language, named

ANN = {
    "user_id": "u-1",
    "FirstName": "Ann",
    "LastName": "Alejandro",
    "Plan": "gold",
    "Visits": "7",
    "Interests": ["tea", "cake"],
    "Lines": [{"name": "a", "tags": ["x", "y"]}, {"name": "b", "tags": []}],
    "Pets": ["Rex"],
    "Nothing": [],
    "Null": [None],
    "location": {"city": "Los Angeles", "country": "US"},
}
PHONE = {
    "attributes": {"Plan": ["gold"], "Last Name": "Lee", "day": ["2026-11-24T22:30:00Z"]},
    "metrics": {"Visits": 7},
    "os": "ios",
    "manufacturer": "Acme",
}


def printed(source: str, **entry: Any) -> str:
    made = translated(source)
    assert made.untranslated == []
    assert templates.problems("a", {"sms.txt": made.text}) == []
    given = {"user": ANN, "device": PHONE, "entry": entry, "locale": "en", "zone": "UTC"}
    return language(html=False).from_string(made.text).render(named(given))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Hi {{User.UserAttributes.FirstName}}", "Hi Ann"),
        ("Hi {{ User.UserAttributes.Nothing }}!", "Hi !"),  # what is missing prints nothing
        ("{{User.UserId}} {{Attributes.Plan}} {{Metrics.Visits}} {{code}}", "u-1 gold 7 A-17"),
        ("{{Attributes.[Last Name]}}", "Lee"),
        ("{{User.UserAttributes.Interests.[1]}} {{User.UserAttributes.None.[0]}}", "cake "),
        ("{{User.UserAttributes.Pets}} {{User.UserAttributes.Interests}}", "Rex tea"),  # of a list without a number the first
        ("{{User.UserAttributes.Nothing}}{{User.UserAttributes.Null}}{{#if User.UserAttributes.Nothing}}a{{else}}b{{/if}}", "b"),
        ("{{User.UserAttributes.Pets.[0]}} {{User.UserAttributes.Plan.[0]}} {{User.UserAttributes.Plan.[1]}}", "Rex gold "),
        ("{{#each User.UserAttributes.Plan}}<{{this}}>{{/each}}{{join User.UserAttributes.Plan ', '}}", "<gold>gold"),
        ("{{upper User.UserAttributes.Pets}} {{#eq User.UserAttributes.Pets 'Rex'}}a{{/eq}}", "REX a"),
        ("{{Demographic.Platform}} {{Demographic.Make}} {{Demographic.Model}}", "ios Acme "),
        ("{{Location.City}} {{Demographic.Locale}} {{Demographic.Timezone}}", "Los Angeles en UTC"),
        ("{{{User.UserAttributes.FirstName}}}{{&User.UserAttributes.FirstName}}", "AnnAnn"),
        ("a {{! a note }}{{!-- with }} in it --}}b", "a b"),
        ("a {{~code~}} b", "aA-17b"),
        ("{% if %} {# x #}", "{% if %} {# x #}"),  # braces of Jinja's are text
        ("{{#if User.UserAttributes.Plan}}a{{else}}b{{/if}}", "a"),
        ("{{#if User.UserAttributes.None}}a{{^}}b{{/if}}", "b"),
        ("{{#unless User.UserAttributes.None}}a{{/unless}}{{^User.UserAttributes.None}}b{{/User.UserAttributes.None}}", "ab"),
        ("{{#each User.UserAttributes.Interests}}{{@index}}{{this}} {{/each}}", "0tea 1cake "),
        ("{{#each User.UserAttributes.Lines}}{{this.name}}{{name}}{{/each}}", "aabb"),
        (
            "{{#each User.UserAttributes.Lines}}{{#each tags}}{{../name}}{{this}}{{User.UserAttributes.Plan}}{{/each}}{{/each}}",
            "axgoldaygold",
        ),
        ("{{#each User.UserAttributes.None}}x{{/each}}", ""),
        ("{{#eq User.UserAttributes.Plan 'gold'}}a{{else}}b{{/eq}}", "a"),
        ("{{#eq User.UserAttributes.Visits 7}}a{{/eq}}", "a"),  # attributes are texts
        ('{{gt Metrics.Visits 5 yes="many" no="few"}}', "many"),
        ("{{lte Metrics.Visits 5}}", "false"),
        ("{{#and (eq User.UserAttributes.Plan 'gold') (not User.UserAttributes.None)}}a{{/and}}", "a"),
        ("{{or User.UserAttributes.None User.UserAttributes.Plan yes='a' no='b'}}", "a"),
        ("{{yesno User.UserAttributes.None no='nothing'}}", "nothing"),
        ("{{upper User.UserAttributes.FirstName}} {{lower 'ABC'}} {{capitalizeFirst 'abc'}} {{stripTags '<b>x</b>'}}", "ANN abc Abc x"),
        ("{{abbreviate User.UserAttributes.LastName 6}}", "Ale..."),  # the guide's
        ("{{substring Location.City 4 9}}", "Angel"),  # the guide's
        ("{{substring Location.City 4}}", "Angeles"),
        ("{{add 5 2.3}} {{divide 5 2.3}} {{ceiling 5.23}}", "7.3 2.17391304 6"),  # the guide's
        (
            "{{add Metrics.Visits 1}} {{subtract 5 7}} {{multiply 2 3}} {{modulo 7 4}} {{floor 5.9}} {{round 5.5}} {{add Metrics.None 0}}",
            "8 -2 6 3 5 6 0",
        ),
        ("{{replace 'a-b' '-' '+'}} {{cut 'a-b' '-'}} {{join User.UserAttributes.Interests ', '}}", "a+b ab tea, cake"),
        ("{{upper (join User.UserAttributes.Interests '/')}}", "TEA/CAKE"),
        ("{{dateFormat Attributes.day outputFormat='dd.MM.yyyy HH:mm'}}", "24.11.2026 22:30"),
        ("{{dateFormat Attributes.day outputFormat=\"d MMM ''yy\" tz='Asia/Tokyo'}}", "25 Nov 26"),
        ("{{dateFormat Attributes.day outputFormat='full'}} {{dateFormat Attributes.None}}", "Tuesday, 24 November 2026 "),
    ],
)
def test_it_prints_what_pinpoint_printed(source: str, expected: str) -> None:
    assert printed(source, code="A-17") == expected


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("a\n{{md5 code}}", 2, "there is no helper md5"),
        ("{{now}}{{uuid }}", 0, ""),  # bare names are values: they print nothing
        ("{{Address}}", 1, "of an endpoint"),
        ("\n\n{{EndpointStatus}}", 3, "of an endpoint"),
        ("{{RecommendationItems.[0]}}", 1, "ask a source"),
        ("{{> footer}}", 1, "_partials"),
        ('{{#*inline "x"}}a{{/inline}}', 1, "_partials"),
        ("{{#list x}}a{{/list}}", 1, "no block list"),
        ("{{#if x}}a", 1, "never ended"),
        ("{{/if}}", 1, "ends nothing"),
        ("{{else}}", 1, "no block"),
        ("{{#if}}a{{/if}}", 1, "has an argument"),
        ("{{eq a}}", 1, "2 arguments"),
        ("{{upper (lower x}}", 1, "brackets"),
        ("{{}}", 1, "empty"),
        ("{{a ? b}}", 1, "cannot be read"),
        ("{{@root}}", 1, "there is no @root"),
        ("{{dateFormat x inputFormat='MM/dd/yy'}}", 1, "ISO 8601"),
        ("{{dateFormat x outputFormat='yyyy G'}}", 1, "has G"),
    ],
)
def test_what_has_no_translation_is_told_with_its_line(source: str, line: int, words: str) -> None:
    made = translated(source)
    assert [each.line for each in made.untranslated] == ([line] if line else [])
    assert all(words in each.message for each in made.untranslated)


def test_what_was_not_translated_stands_as_a_comment_and_the_rest_is_a_template() -> None:
    made = translated("Hi {{md5 code}} #} {{code}}{{#list x}}in{{else}}out{{/list}}")
    assert language(html=False).from_string(made.text).render(named({"entry": {"code": "A"}})) == "Hi  #} Ainout"
    assert "{# not translated: {{md5 code}} #}" in made.text


def test_a_value_of_its_own_for_what_is_missing_stands_in_the_settings() -> None:
    assert translated("{{code}}{{other}}", {"entry.code": "A"}).text == '{{ entry.code }}{{ entry.other | default("") }}'
    assert translated("{{Attributes.x}}", {"device.attributes.x": "A"}).text == "{{ device.attributes.x | one }}"
    assert path_of("User.UserAttributes.FirstName") == "user.FirstName"
    with pytest.raises(ValueError, match="endpoint"):
        path_of("Address")


@given(st.text(alphabet="ab {}#/^>!~&()[].'\"=@%\n", max_size=60))
def test_any_text_is_translated_or_told_and_never_breaks(source: str) -> None:
    made = translated(source)
    assert made.untranslated or language(html=False).parse(made.text) is not None
