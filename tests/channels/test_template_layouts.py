"""Layouts and partials are put in before anything else reads a template."""

import pytest

from channels import templates
from channels.render import Renderer
from channels.template_files import BadFile
from channels.template_layouts import composed

APP = {"name": "Acme", "from": "Acme <hello@acme.example>"}
LAYOUT = """<html><body>
{% block content %}
<p>Nothing new.</p>
{% endblock %}
{% include "_partials/footer.html" %}
</body></html>
"""
FOOTER = '<p><a href="{{ links.unsubscribe }}">Leave {{ app.name }}</a></p>\n'
MAIL = {
    "subject.txt": "News",
    "body.html": '{% extends "_layouts/mail.html" %}\n{% block content %}\n<p>Hello {{ user.name | default("you") }}</p>\n{% endblock %}\n',
    "_layouts/mail.html": LAYOUT,
    "_partials/footer.html": FOOTER,
}


def text(source: str, **shared: str) -> str:
    files = {f"_{room}s/{name}.txt": said for each, said in shared.items() for room, _, name in [each.partition("_")]}
    return composed("body.txt", {"body.txt": source, **files})


@pytest.mark.parametrize(
    ("source", "shared", "expected"),
    [
        ("a {% include '_partials/b.txt' %} c", {"partial_b": "B\n"}, "a B c"),  # in a line, without the last newline
        ("a\n{% include '_partials/b.txt' %}\nc", {"partial_b": "B\n"}, "a\nB\nc"),  # in a line of its own
        ("a  {%- include '_partials/b.txt' -%}  c", {"partial_b": "B"}, "aBc"),
        ("{% include '_partials/b.txt' %}", {"partial_b": "{% include '_partials/c.txt' %}!", "partial_c": "C"}, "C!"),
        ("{# {% include '_partials/b.txt' %} #}", {}, "{# {% include '_partials/b.txt' %} #}"),
        ("{% raw %}{% include 'b' %}{% endraw %}", {}, "{% raw %}{% include 'b' %}{% endraw %}"),
        ("{{ '{% block %}' }}{% block a %}x{% endblock %}", {}, "{{ '{% block %}' }}x"),
        ("{% extends '_layouts/l.txt' %}{% block a %}mine{% endblock %}", {"layout_l": "<{% block a %}its{% endblock %}>"}, "<mine>"),
        ("{% extends '_layouts/l.txt' %}", {"layout_l": "<{% block a %}its{% endblock a %}>"}, "<its>"),
        (
            "{% extends '_layouts/l.txt' %}{% block a %}{{ super() }}, mine{% endblock %}",
            {"layout_l": "{% block a %}its{% endblock %}"},
            "its, mine",
        ),
        (
            "{% extends '_layouts/m.txt' %}{% block a %}1 {{ super() }}{% endblock %}",  # a layout of a layout
            {
                "layout_m": "{% extends '_layouts/l.txt' %}{% block a %}2 {{ super() }}{% endblock %}{% block b %}B{% endblock %}",
                "layout_l": "{% block a %}3{% endblock %}-{% block b %}b{% endblock %}",
            },
            "1 2 3-B",
        ),
        (
            "{% extends '_layouts/l.txt' %}{% block inner %}I{% endblock %}",  # a block within a block
            {"layout_l": "{% block outer %}({% block inner %}i{% endblock %}){% endblock %}"},
            "(I)",
        ),
    ],
)
def test_what_is_put_in_stands_where_it_is_named(source: str, shared: dict[str, str], expected: str) -> None:
    assert text(source, **shared) == expected


@pytest.mark.parametrize(
    ("source", "shared", "words"),
    [
        ("{% include '_partials/b.txt' %}", {}, "which is not there"),
        ("{% include name %}", {}, "in quotes"),
        ("{% include '_partials/b.txt' ignore missing %}", {"partial_b": ""}, "in quotes"),
        ("{% include '../secret.txt' %}", {}, "in quotes"),
        ("{% include '_partials/b.txt' %}", {"partial_b": "{% include '_partials/b.txt' %}"}, "names this file again"),
        ("{% extends '_layouts/l.txt' %}", {"layout_l": "{% extends '_layouts/l.txt' %}"}, "names this file again"),
        ("{% extends '_layouts/l.txt' %}{% block b %}{% endblock %}", {"layout_l": "{% block a %}{% endblock %}"}, "has a block b"),
        ("{% extends '_layouts/l.txt' %}lost", {"layout_l": "{% block a %}{% endblock %}"}, "outside its blocks"),
        ("first {% extends '_layouts/l.txt' %}", {"layout_l": ""}, "at the beginning"),
        ("{% block a %}", {}, "does not end its block a"),
        ("{% endblock %}", {}, "without its block"),
        ("{% block a b %}{% endblock %}", {}, "a block has a name"),
        ("{% block a %}{{ super() }}{% endblock %}", {}, "no block of a layout"),
    ],
)
def test_what_cannot_be_put_in_is_told_with_its_remedy(source: str, shared: dict[str, str], words: str) -> None:
    with pytest.raises(BadFile, match=words):
        text(source, **shared)


def test_partials_that_double_each_other_end_at_the_size_of_a_message() -> None:
    doubling = {f"partial_p{n}": f"{{% include '_partials/p{n + 1}.txt' %}}" * 40 for n in range(8)}
    with pytest.raises(BadFile, match="shorten it"):
        text("{% include '_partials/p0.txt' %}", **doubling, partial_p8="")


async def test_a_mail_in_a_layout_is_rendered_in_our_own_process() -> None:
    renderer = Renderer()
    try:
        content = await renderer.render(
            "news", 1, MAIL, "email", {"app": APP, "user": {"name": "<Ann>"}, "links": {"unsubscribe": "https://l"}}
        )
        assert content.parts["html"].split("\n") == [
            "<html><body>",
            "<p>Hello &lt;Ann&gt;</p>",
            '<p><a href="https://l">Leave Acme</a></p>',
            "</body></html>",
        ]
        assert (await renderer._prepared(MAIL, "email", "")).compiled is not None
    finally:
        await renderer.close()


async def test_mjml_is_made_html_with_what_is_put_in() -> None:
    files = {
        "subject.txt": "News",
        "body.mjml": '{% extends "_layouts/mail.mjml" %}{% block content %}<mj-text>Hello</mj-text>{% endblock %}',
        "_layouts/mail.mjml": "<mjml><mj-body><mj-section><mj-column>{% block content %}{% endblock %}"
        "</mj-column></mj-section></mj-body></mjml>",
    }
    assert templates.problems("news", files) == []
    renderer = Renderer()
    try:
        html = (await renderer.render("news", 1, files, "email", {"app": APP})).parts["html"]
    finally:
        await renderer.close()
    assert "Hello" in html
    assert "<mj-" not in html


def test_what_a_partial_uses_is_checked_where_it_is_put_in() -> None:
    assert templates.problems("news", MAIL) == []
    assert templates.shows_unsubscribe(MAIL)
    assert not templates.shows_unsubscribe(MAIL | {"_partials/footer.html": "<p>Bye</p>"})
    [problem] = templates.problems("news", MAIL | {"_partials/footer.html": "{{ user.city }}"})
    assert (problem.pointer, problem.code) == ("templates/news/body.html", "no_default")


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"_partials/footer.html": "a\n{% if %}"}, "templates/news/_partials/footer.html", "syntax"),
        ({"_partials/other.html": "a"}, "templates/news/_partials/other.html", "unknown_file"),
        ({"_layouts/mail.html": "{% block content %}"}, "templates/news/_layouts/mail.html", "bad_file"),
    ],
)
def test_a_fault_in_what_is_shared_names_its_file(changed: dict[str, str], pointer: str, code: str) -> None:
    assert (pointer, code) in [(problem.pointer, problem.code) for problem in templates.problems("news", MAIL | changed)]


def test_a_template_is_published_with_all_that_it_uses_and_nothing_else() -> None:
    shared = {
        "_layouts/mail.html": LAYOUT,
        "_partials/footer.html": FOOTER,
        "_partials/footer.de.html": '{% include "_partials/imprint.html" %}',
        "_partials/imprint.html": "Acme GmbH",
        "_partials/unused.html": "x",
    }
    whole = templates.with_shared({"body.html": MAIL["body.html"]}, shared)
    assert sorted(whole) == [
        "_layouts/mail.html",
        "_partials/footer.de.html",
        "_partials/footer.html",
        "_partials/imprint.html",
        "body.html",
    ]
