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
        ('<div style="display:none">a<p>b', ""),  # what never ends is never seen
        ('<p style="display:none">a<p>b', "b"),  # a paragraph, an item and a cell end without saying so
        ('<td><p style="display:none">a</td><td>b</td>', "b"),
        ('<ul><li style="display:none">a<li>b</ul><p>c</p>', "- b\n\nc"),
        ('<ul><li>a<li style="display:none">b</ul><p>c</p>', "- a\n\nc"),
        ('<table><tr><td style="display:none">a<td>b</tr></table><p>c</p>', "b\n\nc"),
        ('<table><tr style="display:none"><td>a<tr><td>b</table>', "b"),
        ('<div style="max-height:0; overflow:hidden">Preheader</div><div style="opacity: 0">x</div>Seen', "Seen"),
        ('<div style="max-height:0px !important">Preheader</div><div hidden>x</div><p style="visibility:hidden">y</p>Seen', "Seen"),
        ('<p style="max-height:0.5em">a</p><p style="opacity:0.9">b</p>', "a\n\nb"),
        ('<td style="font-size:0px"><p style="font-size:14px">as MJML writes it</p></td>', "as MJML writes it"),
        ("<p>a</p><table><tr><td>&nbsp;</td></tr></table><div>&nbsp;&zwnj;&nbsp;&zwnj;&#8199;&#65279;</div><p>b</p>", "a\n\nb"),  # padding
        ("<ul><li><p>One</p></li><li><p>Two</p></li></ul>", "- One\n\n- Two"),
        ("<ul><li>One<ul><li>a</li><li>b</li></ul></li><li>Two</li></ul>", "- One\n  - a\n  - b\n- Two"),
        ("<ol><li>Pack</li><li>Go<ol start=7><li>far</li></ol></li></ol>", "1. Pack\n2. Go\n  7. far"),
        (
            "<ol><!-- sjx0x --><li>sjx1x</li><!-- sjx2x --><li>last</li></ol>",
            "sjx0x\n- sjx1x\nsjx2x\n- last",
        ),  # a loop: how many there are?
        ("<li>lost</li>", "- lost"),
        ("<p>So:</p><pre>\nif a:\n    b\n\nc</pre><p>Yes</p>", "So:\n\nif a:\n    b\n\nc\n\nYes"),
        ('<a href="https://a.example/1">one <a href="https://a.example/2">two</a>', "one (https://a.example/1) two (https://a.example/2)"),
        ('<p><a href="https://a.example">open</p>', "open\n\n(https://a.example)"),
        ('<!--sjx0x--><a href="sjx1x"><!--sjx2x--><a href="sjx3x"><!--sjx4x-->Go</a>', "sjx0xsjx2xsjx4xGo (sjx3x)"),
        ('<a href="https://a.example"><img src="x" alt="Our\nshop"></a>', "Our shop (https://a.example)"),
        ("<figure><img alt='A cat'><figcaption>Tom</figcaption></figure>", "A cat\nTom"),
        ("<p>&euro;&nbsp;5 &mdash; caf&eacute; &#128512; &lt;b&gt; &amp;amp; &hellip;</p>", "€\xa05 — café 😀 <b> &amp; …"),
        ("<![foo bar]>a<![CDATA[b]]>c", "ac"),  # what is no HTML is a comment
        ("<![if !mso]>For all but Outlook<![endif]>", "For all but Outlook"),
        ("<!-- a comment --><!--[if mso]>Outlook<![endif]-->a", "a"),
        ("<!-- sjx0x -->a<p>sjx1x</p>", "sjx0xa\n\nsjx1x"),
        ('<head><!--sjx0x--></head><body><a href="sjx1x">x</a>', "sjx0xx (sjx1x)"),
    ],
)
def test_a_reader_of_text_gets_what_a_reader_of_html_sees(html: str, expected: str) -> None:
    assert plain_text(html) == expected


NEWSLETTER = """<!DOCTYPE html><html><head><title>News</title><style>p { margin: 0 }</style></head><body>
<div style="display:none;max-height:0;overflow:hidden">All of it half price&#847;&zwnj;&nbsp;&#847;&zwnj;&nbsp;</div>
<!--[if mso]><table width="600"><tr><td><![endif]-->
<table role="presentation" width="100%"><tbody><tr><td align="center">
  <a href="https://shop.example"><img src="logo.png" alt="Shop" width="120"></a>
</td></tr><tr><td>&nbsp;</td></tr><tr><td>
  <h1>Hello {{ user.name | default("you") }},</h1>
  <p>this is what you <b>left</b> behind:</p>
  <table><tr><th>What</th><th>Price</th></tr>
  {% for line in entry.lines | default([]) %}
  <tr><td>{{ line.name }}</td><td>{{ line.price }}</td></tr>
  {% endfor %}
  </table>
  <ol><li><p>Open your cart</p></li><li><p>Pay</p></li></ol>
  <table><tr><td bgcolor="#c00"><a href="https://shop.example/cart?a=1&amp;b=2" style="display:inline-block"><span>To your
    cart</span></a></td></tr></table>
</td></tr></tbody></table>
<!--[if mso]></td></tr></table><![endif]-->
<p style="font-size:11px">Shop Ltd.<br>1 Way<br><a href="{{ links.unsubscribe }}">Leave</a></p></body></html>
"""


async def test_a_newsletter_of_tables_is_read_from_top_to_bottom() -> None:
    variables = {
        "app": APP,
        "user": {"name": "Ann"},
        "entry": {"lines": [{"name": "Shoe", "price": "5 €"}, {"name": "Hat", "price": "7 €"}]},
        "links": {"unsubscribe": "https://l.example"},
    }
    renderer = Renderer(children=1)
    try:
        text = (await renderer.render("a", 1, {"subject.txt": "a", "body.html": NEWSLETTER}, "email", variables)).parts["text"]
    finally:
        await renderer.close()
    assert [line for line in text.splitlines() if line] == [
        "Shop (https://shop.example)",
        "Hello Ann,",
        "this is what you left behind:",
        "What Price",
        "Shoe 5 €",
        "Hat 7 €",
        "1. Open your cart",
        "2. Pay",
        "To your cart (https://shop.example/cart?a=1&b=2)",
        "Shop Ltd.",
        "1 Way",
        "Leave (https://l.example)",
    ]


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
