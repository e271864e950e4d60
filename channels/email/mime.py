"""A mail as bytes. What repeats (sender, structure, list headers) is made once as a Shape; each recipient's fields are filled in.

The standard library's EmailMessage costs more than ten times the CPU (bench/mime.py), so nothing of it is on the way of a mail.
"""

from binascii import b2a_qp
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

from channels.base import Outgoing
from channels.email import attachments, headers, labels
from channels.email.attachments import attachments_of
from channels.email.letter import leaving, standing

# Quoted-printable writes "=" only before two hexadecimal digits or a line end, so "=_" cannot stand in a body.
_BOUNDARY = b"=_sojourn_part"
# The same holds for base64, which has no "_".
_OUTER_BOUNDARY = b"=_sojourn_mail"
_QP = b"; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"


@dataclass(frozen=True)
class Mail:
    """What the server is told: envelope and message. `needs_utf8` asks for SMTPUTF8: an address has a local part beyond ASCII."""

    sender: str
    recipient: str
    message: bytes
    needs_utf8: bool


@dataclass(frozen=True)
class Shape:
    """The bytes that every mail of one (sender, reply-to, app, topic, class) has in common."""

    sender: str
    domain: bytes
    head: bytes


def build(outgoing: Outgoing, *, at: datetime | None = None) -> Mail:
    """Make the mail of one message. Raises Rejected for text that may not stand in a header or an address that is none.

    The Message-ID is the message's id, the same in every try, so that receivers may fold doubles.
    """
    parts = outgoing.content.parts
    made = shape(str(parts["from"]), str(parts.get("reply_to") or ""), outgoing.app, outgoing.topic or "", outgoing.message_class)
    recipient = headers.address(outgoing.address)
    message = b"".join(
        (
            b"Message-ID: <%s@%s>\r\nDate: %s\r\n" % (str(outgoing.message_id).encode("ascii"), made.domain, _date(at)),
            b"To: %s\r\n" % recipient.encode(),
            headers.unstructured("Subject", str(parts["subject"])),
            _lines(leaving(outgoing.unsubscribe_url)),
            made.head,
            labels.lines_of(parts) if "headers" in parts else b"",
            _body(parts.get("text"), parts.get("html")) if "attachments" not in parts else _with_files(parts),
        )
    )
    return Mail(made.sender, recipient, message, not (made.sender.isascii() and recipient.isascii()))


@lru_cache(maxsize=1024)
def shape(sender: str, reply_to: str, app: str, topic: str, message_class: str) -> Shape:
    """Make the common part once."""
    envelope = headers.bare_address(sender)
    domain = envelope.rpartition("@")[2]
    lines = [f"From: {headers.mailbox(sender)}"]
    if reply_to:
        lines.append(f"Reply-To: {headers.mailbox(reply_to)}")
    head = "".join(f"{line}\r\n" for line in [*lines, "MIME-Version: 1.0"]).encode()
    fixed = _lines(standing(app, topic, message_class, domain))
    return Shape(envelope, domain.encode("ascii"), head + fixed)


def _body(text: str | None, html: str | None) -> bytes:
    if text is None or html is None:
        kind, only = (b"plain", text) if html is None else (b"html", html)
        return b"Content-Type: text/%s%s%s" % (kind, _QP, _quoted_printable(only or ""))
    return b"".join(
        (
            b'Content-Type: multipart/alternative; boundary="%s"\r\n\r\n' % _BOUNDARY,
            b"--%s\r\nContent-Type: text/plain%s" % (_BOUNDARY, _QP),
            _quoted_printable(text),
            b"\r\n--%s\r\nContent-Type: text/html%s" % (_BOUNDARY, _QP),
            _quoted_printable(html),
            b"\r\n--%s--\r\n" % _BOUNDARY,
        )
    )


def _with_files(parts: Mapping[str, Any]) -> bytes:
    inner = [_body(parts.get("text"), parts.get("html")), *(attachments.part(each) for each in attachments_of(parts))]
    head = b'Content-Type: multipart/mixed; boundary="%s"\r\n' % _OUTER_BOUNDARY
    return head + b"".join(b"\r\n--%s\r\n%s" % (_OUTER_BOUNDARY, part) for part in inner) + b"\r\n--%s--\r\n" % _OUTER_BOUNDARY


def _quoted_printable(text: str) -> bytes:
    # b2a_qp takes the line ending of its soft breaks from the first line, hence CRLF first and a last line that ends.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    if not lines.endswith("\r\n"):
        lines += "\r\n"
    return b2a_qp(lines.encode("utf-8", "replace"), quotetabs=False, istext=True)


def _lines(fields: tuple[tuple[str, str], ...]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode("ascii")


def _date(at: datetime | None) -> bytes:
    return _date_of_second(int((at or datetime.now(UTC)).timestamp()))


@lru_cache(maxsize=16)
def _date_of_second(second: int) -> bytes:
    return format_datetime(datetime.fromtimestamp(second, UTC)).encode("ascii")
