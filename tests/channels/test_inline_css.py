"""What stands in <style> is written into the tags, once for a template: Jinja goes through it, and no message pays for it."""

from typing import Any

import css_inline
import pytest

from channels import template_parts, templates
from channels.render import Renderer
from channels.template_files import BadFile
from tests.channels.test_render import count_asked

HTML = """<html><head><style>
.go { color: #c00; padding: 4px }
td > p { margin: 0 }
@media (max-width: 600px) { .go { display: block !important } }
</style></head><body><table>
{% for line in entry.lines | default([]) %}
<tr><td><p class="go">{{ line.name }}{% if line.n > 1 %} x {{ line.n }}{% endif %}</p></td></tr>
{% endfor %}
</table><a class="go" href="{{ links.unsubscribe }}?a=1&amp;b=2" title='{{ user.name | default("you") }}'>Leave</a></body></html>
"""
FILES = {"subject.txt": "News", "body.html": HTML}
APP = {"name": "Acme", "from": "Acme <hello@acme.example>"}
GO = "color: #c00;padding: 4px;"


def html_of(source: str) -> str:
    [found] = [part.source for part in template_parts.parts({**FILES, "body.html": source}, "email") if part.name == "html"]
    return found


def test_a_style_lands_in_the_tags_that_it_is_for_and_jinja_stays_where_it_was() -> None:
    html = html_of(HTML)
    assert f'<p class="go" style="margin: 0;{GO}">{{{{ line.name }}}}{{% if line.n > 1 %}} x {{{{ line.n }}}}{{% endif %}}</p>' in html
    link = html.partition("<a ")[2].partition(">Leave")[0]
    assert f' style="{GO}"' in link
    assert 'href="{{ links.unsubscribe }}?a=1&amp;b=2"' in link
    assert 'title="{{ user.name | default("you") }}"' in link
    assert "{% for line in entry.lines | default([]) %}\n<tbody><tr>" in html, "a loop stays around its rows"
    assert "</tr>\n{% endfor %}" in html


def test_what_cannot_stand_in_a_tag_stays_in_style() -> None:
    style = html_of(HTML).partition("<style>")[2].partition("</style>")[0]
    assert "@media (max-width: 600px) { .go { display: block !important } }" in style
    assert "margin" not in style


def test_a_style_of_the_tag_itself_wins() -> None:
    assert 'style="color: #c00;padding: 9px"' in html_of('<style>p { color: #c00; padding: 4px }</style><p style="padding: 9px">a</p>')


def test_what_has_no_style_is_left_as_it_was_written() -> None:
    source = "<p class=go>Hello {{ user.name | default('you') }}"
    assert html_of(source) == source


def test_no_style_is_fetched() -> None:
    html = html_of('<link rel="stylesheet" href="http://127.0.0.1:9/a.css"><style>p { color: red }</style><p>a</p>')
    assert 'style="color: red;"' in html


def test_a_fault_is_told_when_the_template_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> str:
        raise css_inline.InlineError("what it says")

    monkeypatch.setattr(css_inline, "inline", refuses)
    with pytest.raises(BadFile, match="has styles that cannot be read: what it says"):
        html_of(HTML)
    [problem] = templates.problems("news", FILES)
    assert (problem.pointer, problem.code) == ("templates/news/body.html", "bad_file")


async def test_it_is_done_once_for_the_template_and_not_for_each_message(monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = Renderer(children=1, wall_s=10)
    asked = count_asked(renderer, monkeypatch)

    async def html(name: str) -> str:
        lines = [{"name": f"shoe of {name}", "n": 2}]
        variables: dict[str, Any] = {"app": APP, "user": {"name": name}, "entry": {"lines": lines}, "links": {"unsubscribe": "https://l"}}
        return str((await renderer.render("news", 1, FILES, "email", variables)).parts["html"])

    try:
        made = [await html(name) for name in ("Ann", "Ben", "<Cem>")]
    finally:
        await renderer.close()
    for name, said in zip(("Ann", "Ben", "&lt;Cem&gt;"), made, strict=True):
        assert f'<p class="go" style="margin: 0;{GO}">shoe of {name} x 2</p>' in said
        assert f'title="{name}"' in said
    assert asked == ["prepare"]
