"""Where Jinja stands in a text, in time that grows with the text and not with its square."""

import time

import pytest

from channels.template_files import BadFile
from channels.template_layouts import composed
from channels.template_parts import parts
from channels.template_tags import spans, without_comments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a {{ b }} c {% d %}{# e #}", ["{{ b }}", "{% d %}", "{# e #}"]),
        ("{{ a {% b %} }}", ["{{ a {% b %} }}"]),  # the first opening counts
        ("{% a {{ b }}", ["{{ b }}"]),  # what is never closed is text
        ("{%} %}", ["{%} %}"]),
        ("{% raw %}{{ a }}{% endraw %}{{ b }}", ["{% raw %}", "{{ a }}", "{% endraw %}", "{{ b }}"]),
    ],
)
def test_what_is_found(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in spans(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% raw %}{{ a {% endraw %} }}{{ b }}", ["{% raw %}{{ a {% endraw %}", "{{ b }}"]),
        ("{%- raw -%}{% block a %}{%- endraw -%}{% c %}", ["{%- raw -%}{% block a %}{%- endraw -%}", "{% c %}"]),
        ("{% raw %}{{ a }}", ["{% raw %}", "{{ a }}"]),
    ],
)
def test_what_is_raw_is_one(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in spans(text, with_raw=True)] == expected


def test_comments_are_taken_out() -> None:
    assert without_comments("a{# b #} {{ c }}{# d") == "a {{ c }}{# d"


@pytest.mark.parametrize("unit", ["{%", "{{", "{#", "{% block a ", "{% raw %}", "{{ super( ", "{% extends 'x' ", "{%a%}", "{% "])
def test_what_is_never_closed_takes_no_longer_than_its_length(unit: str) -> None:
    text = "{% block x %}{% endblock %}<style>p{color:red}</style>" + unit * (200_000 // len(unit))
    began = time.process_time()
    try:
        composed("body.html", {"body.html": text})
        parts({"subject.txt": "a", "body.html": text}, "email")
    except (BadFile, RecursionError):
        pass  # Jinja itself gives up on what is nested so deep
    assert time.process_time() - began < 3
