"""A mail as bytes: what the standard library reads out of it."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Rejected
from channels.email import mime
from tests.channels.messages import mail


def read(message: bytes) -> EmailMessage:
    found = message_from_bytes(message, policy=policy.default)
    assert isinstance(found, EmailMessage)
    assert found.defects == []
    return found


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    assert part.defects == []
    return str(part.get_content()).replace("\r\n", "\n")


def test_text_comes_before_html_in_one_alternative() -> None:
    message = read(mime.build(mail()).message)
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(("absent", "kind"), [("text", "text/html"), ("html", "text/plain")])
def test_a_mail_of_one_body_has_one_part(absent: str, kind: str) -> None:
    assert read(mime.build(mail(parts={absent: None})).message).get_content_type() == kind


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=500))
def test_any_body_arrives_as_it_was(text: str) -> None:
    built = mime.build(mail(parts={"text": text, "html": text})).message
    expected = text if text.endswith("\n") else text + "\n"
    message = read(built)
    assert body(message, "plain") == expected
    assert body(message, "html") == expected
    assert all(len(line) <= 998 for line in built.split(b"\r\n"))
    assert b"\n" not in built.replace(b"\r\n", b"")


def test_marketing_mail_tells_its_list_and_how_to_leave_it() -> None:
    message = read(mime.build(mail(unsubscribe_url="https://acme.example/unsubscribe/t")).message)
    assert message["List-Unsubscribe"] == "<https://acme.example/unsubscribe/t>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "<general.demo.acme.example>"
    assert message["Precedence"] == "bulk"
    assert message["Feedback-ID"] == "general:marketing:demo:sojourn"


def test_transactional_mail_is_of_no_list() -> None:
    message = read(mime.build(mail(message_class="transactional", topic=None)).message)
    assert not {"List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Precedence"} & set(message.keys())


def test_a_second_try_has_the_same_message_id() -> None:
    message = mail()
    first, second = read(mime.build(message).message), read(mime.build(message).message)
    assert first["Message-ID"] == second["Message-ID"] == f"<{message.message_id}@acme.example>"


def test_each_header_stands_once_with_its_date_in_utc() -> None:
    message = read(mime.build(mail(), at=datetime(2026, 11, 23, 19, 0, tzinfo=UTC)).message)
    assert len(message.keys()) == len(set(message.keys()))
    assert message["Date"] == "Mon, 23 Nov 2026 19:00:00 +0000"
    assert message["Reply-To"] == "help@acme.example"


def test_the_common_part_is_made_once_for_many_mails() -> None:
    mime.shape.cache_clear()
    for _ in range(10):
        mime.build(mail())
    assert (mime.shape.cache_info().misses, mime.shape.cache_info().hits) == (1, 9)


@pytest.mark.parametrize(
    "url", ["https://a.example/\r\nBcc: e@x", "https://a.example/>", "https://a.example/ b", "https://a.example/é", "h" * 1000]
)
def test_an_unsubscribe_address_that_could_break_its_header_is_refused(url: str) -> None:
    with pytest.raises(Rejected):
        mime.build(mail(unsubscribe_url=url))


@pytest.mark.parametrize("part", ["subject", "from", "reply_to"])
def test_a_header_from_a_template_cannot_add_another(part: str) -> None:
    with pytest.raises(Rejected):
        mime.build(mail(parts={part: "Ann\r\nBcc: eve@evil.example"}))
