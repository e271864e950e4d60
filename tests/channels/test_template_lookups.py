"""What a template asks of sources: found by rendering it, whatever it does with the answers, in our own process and in a child."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from channels.render import Asks, Renderer, RenderFailed
from channels.template_checks import sources_of
from channels.templates import problems

ENTRY = {"id": "a", "items": [{"id": "b"}, {"id": "c"}], "count": 3}
# Macros are not for our own process: what has one is rendered by a child.
BY_CHILD = "{% macro nothing() %}{% endmacro %}"


@pytest.fixture(scope="module")
async def renderer() -> AsyncIterator[Renderer]:
    made = Renderer(children=1, wall_s=60)
    yield made
    await made.close()


async def said(renderer: Renderer, text: str, source: Mapping[str, Any], file: str = "sms.txt") -> str:
    variables = {"entry": ENTRY, "source": source, "locale": "en", "app": {"from": "a@example.com"}}
    files = {file: text} | ({"subject.txt": "-"} if file == "body.html" else {})
    channel = "sms" if file == "sms.txt" else "email"
    parts = (await renderer.render("t", 1, files, channel, variables)).parts
    return str(parts["text" if channel == "sms" else "html"])


@pytest.mark.parametrize("prefix", ["", BY_CHILD], ids=["ours", "child"])
@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("{{ source.p[entry.id].name }}", {("p", "a")}),
        ("{{ source['p'][entry.id]['name'] }}", {("p", "a")}),
        ("{{ source.p.a.name }}{{ source.q.b }}", {("p", "a"), ("q", "b")}),
        ("{% for i in entry['items'] %}{{ source.p[i.id].price | money('EUR') }}{% endfor %}", {("p", "b"), ("p", "c")}),
        ("{{ source.p[entry.count].name }}", {("p", "3")}),  # a number is its text
        ("{{ source.p[entry.id ~ '-' ~ entry.count] }}", {("p", "a-3")}),
        ("{% set p = source.p[entry.id] %}{{ p.price * 2 + p.tax - 1 }}{{ source.q.z }}", {("p", "a"), ("q", "z")}),
        ("{% if source.p[entry.id].stock > 0 %}{{ source.q.y }}{% else %}{{ source.q.n }}{% endif %}", {("p", "a"), ("q", "n")}),
        ("{% for x in source.p[entry.id].likes %}{{ source.p[x].name }}{% endfor %}", {("p", "a")}),
        ("{{ source.q[source.p[entry.id].brand].name }}", {("p", "a")}),  # the second key is not known yet
        ("{{ source.p[entry.id].at | date('short') | upper | replace('x', 'y') }}", {("p", "a")}),
        ("{{ entry.count | plural(source.p[entry.id].one, other=source.p[entry.id].many) }}", {("p", "a")}),
        ("{{ source.p[entry.id].name | default('-') }}", {("p", "a")}),
        ("{{ 'x' in source.p[entry.id].tags }}{{ source.p[entry.id] is defined }}", {("p", "a")}),
        ("{{ source.p[entry.id].total }}{{ 1 / entry.zero | default(0) }}", {("p", "a")}),  # what goes wrong may go well with the row
    ],
)
async def test_every_key_is_asked(renderer: Renderer, prefix: str, text: str, asked: set[tuple[str, str]]) -> None:
    with pytest.raises(Asks) as asks:
        await said(renderer, prefix + text, {})
    assert asks.value.asked == asked


@pytest.mark.parametrize("prefix", ["", BY_CHILD], ids=["ours", "child"])
async def test_what_is_known_is_written_and_escaped(renderer: Renderer, prefix: str) -> None:
    rows = {"p": {"a": {"name": "<b>Chair</b>", "price": 12.5, "tags": ["x"]}, "b": None}}
    text = prefix + "{{ source.p[entry.id].name }} {{ source.p[entry.id].price | money('EUR') }} {{ source.p.b.name | default('none') }}"
    assert (await said(renderer, text, rows)).strip() == "<b>Chair</b> €12.50 none"
    assert "&lt;b&gt;Chair&lt;/b&gt; €12.50 none" in await said(renderer, text, rows, "body.html")


@pytest.mark.parametrize("prefix", ["", BY_CHILD], ids=["ours", "child"])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{{ source.p.b.name }}", "missing_variable:source.p[].name"),  # the key is nobody's business
        ("{{ source.p[entry.nothing].name }}", "missing_variable:entry.nothing"),
        ("{{ source.p }}", "template_error"),
        ("{% for x in source.p %}{{ x }}{% endfor %}", "template_error"),
        ("{{ source.p | length }}", "template_error"),
        ("{{ source.p[entry.long] | default('x') }}{{ source.p[''].name }}", "missing_variable:source.p[].name"),
    ],
)
async def test_what_cannot_be_looked_up_is_a_reason(renderer: Renderer, prefix: str, text: str, code: str) -> None:
    with pytest.raises(RenderFailed) as failed:
        await said(renderer, prefix + text, {"p": {"b": None}})
    assert failed.value.code == code


async def test_a_key_that_is_missing_has_its_default(renderer: Renderer) -> None:
    assert await said(renderer, "{{ source.p[entry.nothing].name | default('-') }}", {}) == "-"


def found(text: str, settings: str = "") -> list[tuple[str, str]]:
    return [(each.code, each.message) for each in problems("t", {"sms.txt": text, "template.toml": settings})]


def test_a_row_needs_no_default_but_its_key_does() -> None:
    sample = '[sample]\nentry.id = "a"\nsource.p.a.name = "Chair"\n'
    assert found("{{ source.p[entry.id].name }}", 'required = ["entry.id"]\n' + sample) == []
    assert [code for code, _ in found("{{ source.p[entry.id].name }}", sample)] == ["no_default"]
    # Where the key is missing, so is the row.
    assert found("{{ source.p[entry.id].name | default('-') }}", sample) == []


def test_a_row_that_the_sample_lacks_is_named() -> None:
    assert [code for code, _ in found("{{ source.p['a'].name }}")] == ["sample_missing"]


@pytest.mark.parametrize(
    "text", ["{{ source[entry.id | default('a')].x }}", "{% set s = source %}{{ s.p.a | default('') }}", "{{ source }}"]
)
def test_a_source_is_named(text: str) -> None:
    assert [code for code, _ in found(text)] == ["unnamed_source"]


def test_the_sources_of_a_template_are_known_in_all_its_files() -> None:
    files = {
        "subject.txt": "{{ source.one.a }}",
        "body.txt": "{% set s = source.two %}{{ s[entry.id].name }}",
        "body.de.txt": "{% for x in source.three.a.list %}{{ source.four[x].name }}{% endfor %}",
        "sms.txt": "{{ user.source.five }}",
    }
    assert sources_of(files) == ["four", "one", "three", "two"]
