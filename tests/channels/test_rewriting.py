"""Links are found as browsers find them, and whatever is not surely a link stays as it was."""

import time

import pytest

from channels.rewriting import destination, rewrite_html, rewrite_text, unescaped, with_parameters, with_pixel


def found(text: str) -> list[str]:
    """The addresses that are offered for replacement."""
    seen: list[str] = []

    def replace(_written: str, meant: str) -> None:
        seen.append(meant)

    assert rewrite_html(text, replace) == text
    return seen


def short(_written: str, meant: str) -> str | None:
    return "https://c/1" if meant.startswith("http") else None


LINKS = [
    # (html, what it becomes)
    ('<a href="https://x.example/a">a</a>', '<a href="https://c/1">a</a>'),
    ("<a href='https://x.example/a'>a</a>", '<a href="https://c/1">a</a>'),  # single quotes
    ("<a href=https://x.example/a>a</a>", '<a href="https://c/1">a</a>'),  # none
    ("<a href=https://x.example/a class=b>a</a>", '<a href="https://c/1" class=b>a</a>'),
    ("<a href=https://x.example/it's>a</a>", "<a href=https://x.example/it's>a</a>"),  # a lone quote: left alone
    ('<A HREF="https://x.example/a">a</A>', '<A HREF="https://c/1">a</A>'),
    ('<a\n  class="b"\n  href = "https://x.example/a"\n>a</a>', '<a\n  class="b"\n  href = "https://c/1"\n>a</a>'),
    ('<a title="1 > 0" href="https://x.example/a">a</a>', '<a title="1 > 0" href="https://c/1">a</a>'),
    ('<a title=\'say "hi"\' href="https://x.example/a">a</a>', '<a title=\'say "hi"\' href="https://c/1">a</a>'),
    ('<a data-href="https://x.example/b" href="https://x.example/a">', '<a data-href="https://x.example/b" href="https://c/1">'),
    ('<a href="https://x.example/a" href="https://x.example/b">', '<a href="https://c/1" href="https://x.example/b">'),  # the first counts
    ('<area href="https://x.example/a"/>', '<area href="https://c/1"/>'),
    ('<v:roundrect href="https://x.example/a" arcsize="4%">', '<v:roundrect href="https://c/1" arcsize="4%">'),  # a button in Outlook
    (
        '<!--[if mso]><a href="https://x.example/a">a</a><![endif]-->',
        '<!--[if mso]><a href="https://c/1">a</a><![endif]-->',
    ),
    (
        '<!--[if !mso]><!--><a href="https://x.example/a">a</a><!--<![endif]-->',
        '<!--[if !mso]><!--><a href="https://c/1">a</a><!--<![endif]-->',
    ),
    ('<a href=" https://x.example/a\n">a</a>', '<a href=" https://x.example/a\n">a</a>'),  # the caller decides: see destination
    ('<a href>a</a><a href="">b</a>', '<a href>a</a><a href="">b</a>'),
    ('<a href="mailto:a@b.example">a</a>', '<a href="mailto:a@b.example">a</a>'),
    ('<abbr href="https://x.example/a">', '<abbr href="https://x.example/a">'),
    ('<link href="https://x.example/a.css">', '<link href="https://x.example/a.css">'),
    ('<img src="https://x.example/a.png">', '<img src="https://x.example/a.png">'),
    ('<a-b href="https://x.example/a">', '<a-b href="https://x.example/a">'),
    ('<!-- <a href="https://x.example/a"> -->', '<!-- <a href="https://x.example/a"> -->'),
    ('<style>a[href="https://x.example"]{}</style>', '<style>a[href="https://x.example"]{}</style>'),
    ('<title><a href="https://x.example/a"></title>', '<title><a href="https://x.example/a"></title>'),
    ('<a data-sojourn-track="off" href="https://x.example/a">', '<a data-sojourn-track="off" href="https://x.example/a">'),
    ('<a href="https://x.example/a" data-sojourn-track=OFF>', '<a href="https://x.example/a" data-sojourn-track=OFF>'),
    ('<a title="never closed href="https://x.example/a">', '<a title="never closed href="https://x.example/a">'),
    ("", ""),
]


@pytest.mark.parametrize(("given", "expected"), LINKS)
def test_links_are_replaced_and_nothing_else_changes(given: str, expected: str) -> None:
    assert rewrite_html(given, short) == expected


ATTRIBUTES = [
    ("https://x.example/?a=1&amp;b=2", "https://x.example/?a=1&b=2"),
    ("https://x.example/?a=1&b=2", "https://x.example/?a=1&b=2"),
    ("https://x.example/?a=1&copy=2", "https://x.example/?a=1&copy=2"),  # not a copyright sign
    ("https://x.example/?a=1&copyright", "https://x.example/?a=1&copyright"),
    ("https://x.example/?a=1&lt=2&amp=3", "https://x.example/?a=1&lt=2&amp=3"),
    ("https://x.example/?q=&#39;a&#x27;&#34;", "https://x.example/?q='a'\""),
    ("https://x.example/?q=a&quot;b", 'https://x.example/?q=a"b'),
    ("&#104;ttps://x.example", "https://x.example"),
    ("https://x.example/?a&amp", "https://x.example/?a&"),
]


@pytest.mark.parametrize(("written", "meant"), ATTRIBUTES)
def test_references_in_an_address_are_read_as_browsers_do(written: str, meant: str) -> None:
    assert unescaped(written) == meant
    quoted = written.replace('"', "&quot;")
    assert found(f'<a href="{quoted}">') == [meant]


TEXTS = [
    ("See https://x.example/a.", "See https://c/1."),
    ("(https://x.example/a)", "(https://c/1)"),
    ("https://en.example/wiki/Foo_(bar)", "https://c/1"),
    ("<https://x.example/a>", "<https://c/1>"),
    ("[shop](https://x.example/a), now", "[shop](https://c/1), now"),
    ("HTTPS://X.example/a", "HTTPS://X.example/a"),  # `short` decides by the scheme in lower case
    ("mailto:a@b.example, www.x.example", "mailto:a@b.example, www.x.example"),
    ("https://x.example/a\nhttps://x.example/b", "https://c/1\nhttps://c/1"),
    ("say 'https://x.example/a'!", "say 'https://c/1'!"),
]


@pytest.mark.parametrize(("given", "expected"), TEXTS)
def test_links_in_plain_text_end_where_the_address_ends(given: str, expected: str) -> None:
    assert rewrite_text(given, short) == expected


DESTINATIONS = [
    ("https://x.example/a?b=1#c", "https://x.example/a?b=1#c"),
    (" https://x.example/a\n", "https://x.example/a"),
    ("https://x.ex\tample/a", "https://x.example/a"),
    ("HTTP://X.example/A", "http://x.example/A"),
    ("https://münchen.example/straße?q=ä", "https://xn--mnchen-3ya.example/stra%C3%9Fe?q=%C3%A4"),
    ("https://x.example/a%20b c", "https://x.example/a%20b%20c"),
    ("https://x.example:8443/", "https://x.example:8443/"),
    ("https://[2001:db8::1]/a", "https://[2001:db8::1]/a"),
    ("mailto:a@b.example", None),
    ("tel:+4915112345678", None),
    ("#top", None),
    ("/relative", None),
    ("//x.example/a", None),
    ("javascript:alert(1)", None),
    ("java\nscript:alert(1)", None),
    ("data:text/html,x", None),
    ("https:/x.example", None),
    ("https://", None),
    ("https://user:word@x.example/", None),  # no credentials into our tables
    ("https://x.example\\@evil.example/", None),
    ("https://x.example:port/", None),
    ("https://x.example/\x00", None),
    ("https://[::1/", None),
    ("https://x.example/" + "a" * 2000, None),
]


@pytest.mark.parametrize(("url", "expected"), DESTINATIONS)
def test_only_http_addresses_are_destinations(url: str, expected: str | None) -> None:
    assert destination(url) == expected


UTM = (("utm_source", "shop"), ("utm_medium", "email"), ("utm_content", "a b&c"))
PARAMETERS = [
    ("https://x.example", "https://x.example?utm_source=shop&utm_medium=email&utm_content=a%20b%26c"),
    ("https://x.example/#top", "https://x.example/?utm_source=shop&utm_medium=email&utm_content=a%20b%26c#top"),
    ("https://x.example/?a=1#/r?b", "https://x.example/?a=1&utm_source=shop&utm_medium=email&utm_content=a%20b%26c#/r?b"),
    ("https://x.example/?", "https://x.example/?utm_source=shop&utm_medium=email&utm_content=a%20b%26c"),
    ("https://x.example/?a=1&", "https://x.example/?a=1&utm_source=shop&utm_medium=email&utm_content=a%20b%26c"),
    ("https://x.example/?utm_source=mine", "https://x.example/?utm_source=mine&utm_medium=email&utm_content=a%20b%26c"),
    ("https://x.example/?UTM_Source=&utm_medium&utm_content=z", "https://x.example/?UTM_Source=&utm_medium&utm_content=z"),
    ("https://x.example/?a=%20+b", "https://x.example/?a=%20+b&utm_source=shop&utm_medium=email&utm_content=a%20b%26c"),
]


@pytest.mark.parametrize(("url", "expected"), PARAMETERS)
def test_parameters_are_added_and_what_the_author_wrote_stays(url: str, expected: str) -> None:
    assert with_parameters(url, UTM) == expected


def test_the_pixel_stands_at_the_end_of_the_body() -> None:
    assert with_pixel("<body>a</BODY ></html>", "https://o/1.gif").endswith('border:0"></BODY ></html>')
    assert with_pixel("<p>a", "https://o/1.gif").startswith('<p>a<img src="https://o/1.gif"')


@pytest.mark.parametrize(
    "nasty",
    ['<a "', "<a href='", "<a ", "<!--", "<!--[if", "<style>", "<a href=x ", "<a b='\"", "<a =", "&", "</body"],
)
def test_html_made_to_be_slow_is_not(nasty: str) -> None:
    """A quadratic pass over half a megabyte would take minutes; the bound is wide because machines are busy."""
    began = time.process_time()
    rewrite_html(nasty * (500_000 // len(nasty)), short)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("nasty", ["https://x.example/" + ")" * 500_000, "https://x.example " * 30_000, "h" * 500_000, "https://" * 60_000])
def test_text_made_to_be_slow_is_not(nasty: str) -> None:
    began = time.process_time()
    rewrite_text(nasty, short)
    assert time.process_time() - began < 5
