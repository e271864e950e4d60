"""The plain text that is made of a mail's HTML."""

import pytest

from channels import templates
from channels.email.plain_text import plain_text
from channels.render import Renderer

APP = {"name": "Acme", "from": "Acme <hello@acme.example>"}


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>One</p>\n<p>Two</p>", "One\n\nTwo"),
        ("<h1>Head</h1>Said<br>again", "Head\n\nSaid\nagain"),
        ("<p>one\n   and <b>two</b></p>", "one and two"),  # lines of the source are spaces
        ("Tom &amp; Ann &lt;3", "Tom & Ann <3"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("<table><tr><td>Total</td><td>5</td></tr><tr><td>Tax</td><td>1</td></tr></table>", "Total 5\nTax 1"),
        ('<a href="https://a.example">Go on</a>', "Go on (https://a.example)"),
        ('<a href="https://a.example">https://a.example</a>', "https://a.example"),
        ('<a href="mailto:a@a.example">a@a.example</a>', "a@a.example"),
        ('<a href="https://a.example"><img src="x"></a>', "https://a.example"),
        ('<a href="#top">Up</a>', "Up"),
        ('<img src="x" alt="Our logo">', "Our logo"),
        ("<title>t</title><style>p{}</style><script>x</script>", ""),
        ('<div style="display: none">Preheader <b>x</b></div>Seen', "Seen"),
        ('<p style="display:none">a<p>b', ""),  # what never ends is never seen
        ("<!-- a comment --><!--[if mso]>Outlook<![endif]-->a", "a"),
        ("<!-- sjx0x -->a<p>sjx1x</p>", "sjx0xa\n\nsjx1x"),
        ('<head><!--sjx0x--></head><body><a href="sjx1x">x</a>', "sjx0xx (sjx1x)"),
    ],
)
def test_a_reader_of_text_gets_what_a_reader_of_html_sees(html: str, expected: str) -> None:
    assert plain_text(html) == expected


async def test_a_mail_without_a_text_gets_one_with_the_values_of_its_html_unescaped() -> None:
    files = {
        "subject.txt": "a",
        "body.html": "<p>Hello {{ user.name | default('you') }}</p>{% for line in entry.lines | default([]) %}<p>{{ line }}</p>{% endfor %}"
        '<a href="{{ links.unsubscribe }}">Leave</a>',
    }
    assert templates.problems("a", files) == []
    assert templates.shows_unsubscribe(files)
    variables = {
        "app": APP,
        "visit": 1,
        "user": {"name": "Tom & <Ann>"},
        "entry": {"lines": ["x", "y"]},
        "links": {"unsubscribe": "https://l.example"},
    }
    renderer = Renderer(children=1)
    try:
        parts = (await renderer.render("a", 1, files, "email", variables)).parts
        own = (await renderer.render("a", 1, files | {"body.txt": "mine"}, "email", variables)).parts
        torn = {"subject.txt": "a", "body.html": "{% if visit == 1 %}<title>a{% endif %} b</title><p>x</p>"}
        without = (await renderer.render("a", 1, torn, "email", variables)).parts
    finally:
        await renderer.close()
    assert parts["text"].split() == ["Hello", "Tom", "&", "<Ann>", "x", "y", "Leave", "(https://l.example)"]
    assert own["text"] == "mine"
    assert "text" not in without
