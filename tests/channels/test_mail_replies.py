"""Anybody may write to us: of a mail that is broken, or made to break its reader, that is read which can be."""

import random
from datetime import UTC, datetime

import pytest

from channels.mail_replies import of_mime, replies

NOW = datetime.now(UTC)
HEAD = b"From: Ann <ann@example.com>\r\nMessage-ID: <1@example.com>\r\n"
PIECES = (
    b"Content-Type: ", b"text/plain", b"text/html", b"multipart/mixed",
    b"message/rfc822", b"message/partial", b"; boundary=", b"b", b"\r\n",
    b"\r\n\r\n", b"--b\r\n", b"--b--", b"From: ", b"Subject: ", b"Date: ", b"=?utf-8?q?", b"=?x?b?", b"?=", b'"', b"<", b">", b"@", b",",
    b"(", b")", b";", b":", b"[", b"]", b"=", b"*=", b"''", b"name*", b"filename*0*=", b"charset=", b"utf-7", b"idna", b"rot13", b"hex",
    b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"x-uuencode", b"Content-Disposition: ", b"attachment", b"a", b"1",
    b"\xff", b"\x00", b"\xed\xa0\x80",
)  # fmt: skip


def parts_within_parts(levels: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels)) + b"\r\nhello"


@pytest.mark.parametrize(
    "broken",
    [
        b"Content-Type: text/plain; name*\r\n\r\nhello",  # an IndexError of the library
        b"Content-Type: text/plain; charset=undefined\r\n\r\nhello",
        b"Content-Type: text/plain; charset=hex\r\n\r\nhello",
        b"Content-Type: message/rfc822\r\n\r\n" * 3_000 + b"\r\nhello",
        parts_within_parts(3_000),
    ],
)
def test_a_mail_that_breaks_its_reader_is_still_from_somebody(broken: bytes) -> None:
    headers, text = of_mime(HEAD + broken)
    [told] = replies("1", "inbound", NOW, headers, text, headers["from"])
    assert told.address == "ann@example.com"


def test_whatever_a_mail_holds_it_is_read_and_can_be_written_down() -> None:
    chance = random.Random(7)
    for _ in range(5_000):
        raw = b"".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 30)))
        headers, text = of_mime(raw)
        for told in replies("", "inbound", NOW, headers, text, headers.get("from", "")):
            for written in (told.event_id, told.address, str(told.detail["text"])):
                assert "\x00" not in written.encode().decode()
