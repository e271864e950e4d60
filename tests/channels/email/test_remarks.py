"""What is told of a mail before anybody gets it."""

import pytest

from channels import templates
from channels.email.remarks import CLIPPED_AT_BYTES, remarks

WORDS = "This mail has a sentence that is long enough to be more than what a mail made of only one picture would say to anybody at all."
GOOD = (
    f'<html><body><p>{WORDS}</p><a href="https://acme.example/a">Go on</a><img src="https://acme.example/l.png" alt="Acme"></body></html>'
)


def told(html: str = GOOD, subject: str = "Your order", text: str = "") -> list[tuple[str, str]]:
    return [(remark.part, remark.code) for remark in remarks({"subject": subject, "html": html, "text": text})]


def link(address: str, words: str = "Go on") -> str:
    return f'<a href="{address}">{words}</a>'


def test_a_mail_in_order_has_no_remarks() -> None:
    assert told() == []
    assert told(html="", text="Hello. https://acme.example/a, or not.") == []
    assert told(html=link("mailto:a@acme.example") + link("tel:+431234") + link("https://www.acme.example/x", "acme.example")) == []


def test_a_mail_that_gmail_would_cut_is_told() -> None:
    around = len("<p></p>")
    assert told(html=f"<p>{'x' * (CLIPPED_AT_BYTES - around)}</p>") == []
    assert told(html=f"<p>{'x' * (CLIPPED_AT_BYTES - around + 1)}</p>") == [("html", "clipped")]
    assert told(html=f"<p>{'ä' * (CLIPPED_AT_BYTES // 2)}</p>") == [("html", "clipped")]  # bytes, not letters


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ("  ", "empty_subject"),
        ("a" * 151, "long_subject"),
        ("LAST CHANCE", "shouted_subject"),
        ("Now!!", "many_marks"),
        ("Now! Go! Buy!", "many_marks"),
        ("Win $$ today", "many_marks"),
        ("Re: your order", "looks_answered"),
        ("AW: Ihre Bestellung", "looks_answered"),
    ],
)
def test_a_subject_like_spam_is_told(subject: str, code: str) -> None:
    assert told(subject=subject) == [("subject", code)]


@pytest.mark.parametrize("subject", ["SOS", "Hello!", "Regarding: x", "你好世界你好世界", "A-17 / 2026"])
def test_a_subject_of_its_own_is_left_alone(subject: str) -> None:
    assert told(subject=subject) == []


@pytest.mark.parametrize(
    ("html", "code"),
    [
        (link(""), "bad_link"),
        (link("#"), "bad_link"),
        (link("/orders"), "bad_link"),
        (link("javascript:alert(1)"), "bad_link"),
        (link("http://acme.example"), "bad_link"),
        (link("https://acme"), "bad_link"),
        (link("https://acme.example/a b"), "bad_link"),
        (link("https://[acme"), "bad_link"),
        (link("https://192.0.2.1/a"), "bad_link"),
        (link("https://acme.example/{{ x }}"), "bad_link"),
        (link("mailto:"), "bad_link"),
        (link("https://bit.ly/x"), "shortened_link"),
        (link("https://evil.example", "https://acme.example/login"), "other_host"),
        (f'<p>{WORDS}</p><img src="l.png" alt="x">', "bad_image"),
        (f'<p>{WORDS}</p><img src="https://acme.example/l.png">', "no_alt"),
        ('<img src="https://acme.example/l.png" alt="">', "mostly_images"),
        ("<script>x</script>", "active_content"),
        ("<form></form>", "active_content"),
        ('<p style="color:#000">x</p>', "dark_screen"),
    ],
)
def test_what_mail_programs_stumble_over_is_told(html: str, code: str) -> None:
    assert told(html=html) == [("html", code)]


@pytest.mark.parametrize(
    "html",
    [
        '<p style="color:#000;background:#fff">x</p>',
        '<meta name="color-scheme" content="light dark"><p style="color:#000">x</p>',
        "<style>@media (prefers-color-scheme: dark) {}</style><p style='color:#000'>x</p>",
    ],
)
def test_colours_that_know_of_dark_screens_are_left_alone(html: str) -> None:
    assert told(html=html) == []


def test_links_of_the_text_are_read_too() -> None:
    assert told(html="", text="See http://acme.example.") == [("text", "bad_link")]


def test_check_tells_it_of_the_sample_in_every_language() -> None:
    files = {
        "subject.txt": "Hello",
        "subject.de.txt": "JETZT KAUFEN",
        "body.html": GOOD,
        "body.de.html": GOOD.replace("https://acme.example/a", "/a"),
    }
    found = [(note.pointer, note.code) for note in templates.notes("welcome", files)]
    assert found == [
        ("templates/welcome/subject.de.txt", "shouted_subject"),
        ("templates/welcome/body.de.html", "bad_link"),
    ]
