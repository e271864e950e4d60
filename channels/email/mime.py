"""A mail as bytes. What repeats (sender, structure, list headers) is made once as a Shape; each recipient's fields are filled in.

The standard library's EmailMessage costs more than ten times the CPU (bench/mime.py), so nothing of it is on the way of a mail.
"""

from binascii import b2a_qp
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from channels.base import Outgoing, Rejected
from channels.email import headers

# Quoted-printable writes "=" only before two hexadecimal digits or a line end, so "=_" cannot stand in a body.
_BOUNDARY = b"=_sojourn_part"
_QP = b"; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
_URL_LIMIT = 900


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
            _unsubscribe(outgoing.unsubscribe_url),
            made.head,
            _body(parts.get("text"), parts.get("html")),
        )
    )
    return Mail(made.sender, recipient, message, not (made.sender.isascii() and recipient.isascii()))


@lru_cache(maxsize=1024)
def shape(sender: str, reply_to: str, app: str, topic: str, message_class: str) -> Shape:
    """Make the common part once. List headers only for marketing (RFC 2919; Precedence keeps out-of-office answers away)."""
    envelope = headers.bare_address(sender)
    domain = envelope.rpartition("@")[2]
    lines = [f"From: {headers.mailbox(sender)}"]
    if reply_to:
        lines.append(f"Reply-To: {headers.mailbox(reply_to)}")
    if message_class == "marketing":
        list_id = f"{_token(topic or 'general')}.{_token(app)}.{domain}"
        lines += [f"List-Id: <{list_id}>", "Precedence: bulk"]
    lines += [f"Feedback-ID: {_token(topic or 'none')}:{message_class}:{_token(app)}:sojourn", "MIME-Version: 1.0"]
    return Shape(envelope, domain.encode("ascii"), "".join(f"{line}\r\n" for line in lines).encode())


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


def _quoted_printable(text: str) -> bytes:
    # b2a_qp takes the line ending of its soft breaks from the first line, hence CRLF first and a last line that ends.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    if not lines.endswith("\r\n"):
        lines += "\r\n"
    return b2a_qp(lines.encode("utf-8", "replace"), quotetabs=False, istext=True)


def _unsubscribe(url: str | None) -> bytes:
    """RFC 8058: the https address alone names person and topic, and a POST to it acts at once."""
    if not url:
        return b""
    if not url.isascii() or any(character in url for character in "<> \t,") or len(url) > _URL_LIMIT:
        raise Rejected("the unsubscribe address cannot stand in a header")
    headers.safe_text(url)
    return b"List-Unsubscribe: <%s>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" % url.encode("ascii")


def _token(text: str) -> str:
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in text)[:63]


def _date(at: datetime | None) -> bytes:
    return _date_of_second(int((at or datetime.now(UTC)).timestamp()))


@lru_cache(maxsize=16)
def _date_of_second(second: int) -> bytes:
    return format_datetime(datetime.fromtimestamp(second, UTC)).encode("ascii")
