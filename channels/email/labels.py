"""What an author puts on a mail beside its content: headers of their own, and tags for the provider's statistics."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from channels.base import Rejected
from channels.email.headers import encoded, safe_text, unstructured

# Postmark keeps ten values with a message, and one is ours.
MOST_HEADERS, MOST_TAGS = 10, 5
_LONGEST = 500
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,59}")
_RESERVED = frozenset(
    {
        *("authentication-results", "bcc", "cc", "date", "dkim-signature", "feedback-id", "from", "list-id", "message-id", "mime-version"),
        *("precedence", "received", "references", "reply-to", "return-path", "sender", "subject", "to", "x-smtpapi"),
    }
)
# Of the body, of who forwards, and those by which providers take orders.
_RESERVED_FROM = ("arc-", "content-", "list-unsubscribe", "received-", "resent-", "x-mailgun-", "x-pm-", "x-resend-", "x-ses-", "x-sg-")
# What every provider takes: SES and Resend have the fewest characters, Postmark the shortest names and values.
_TAG = re.compile(r"(?!sojourn)[A-Za-z0-9_-]{1,20}")
_TAG_TEXT = re.compile(r"[A-Za-z0-9_-]{1,80}")

Pairs = tuple[tuple[str, str], ...]


def header_name(name: str) -> str:
    """Return `name` unchanged. Raises ValueError where the header is not an author's to write."""
    if not _HEADER.fullmatch(name):
        raise ValueError("a header's name has letters, digits and dashes, 60 at most")
    if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_FROM):
        raise ValueError("this header is written by Sojourn or the provider: take it out")
    return name


def header_text(text: str) -> str:
    """Return `text` without spaces around it. Raises ValueError where it cannot stand in a header."""
    if len(text) > _LONGEST:
        raise ValueError(f"a header holds {_LONGEST} characters at most")
    try:
        return safe_text(text.strip())
    except Rejected as error:
        raise ValueError("a header holds one line, without encoded words") from error


def tag_name(name: str) -> str:
    """Return `name` unchanged. Raises ValueError."""
    if not _TAG.fullmatch(name):
        raise ValueError("a tag's name has 1 to 20 letters, digits, _ and -, and does not begin with sojourn")
    return name


def tag_text(text: str) -> str:
    """Return `text` unchanged. Raises ValueError."""
    if not _TAG_TEXT.fullmatch(text):
        raise ValueError("a tag holds 1 to 80 letters, digits, _ and -, as every provider takes them")
    return text


def distinct(names: Iterable[str]) -> None:
    """Raises ValueError where a header is written twice, in large letters or small."""
    lowered = [name.lower() for name in names]
    if len(set(lowered)) < len(lowered):
        raise ValueError("a header is written once, whatever its letters")


def headers_of(parts: Mapping[str, Any]) -> Pairs:
    """The headers of a mail as a provider takes them that writes and folds them itself. Raises Rejected."""
    return tuple((name, encoded(text)) for name, text in _filled(parts))


def lines_of(parts: Mapping[str, Any]) -> bytes:
    """The same as lines of a mail. What is ASCII stays in one line, since programs read it. Raises Rejected."""
    return b"".join(f"{name}: {text}\r\n".encode("ascii") if text.isascii() else unstructured(name, text) for name, text in _filled(parts))


def tags_of(parts: Mapping[str, Any]) -> Pairs:
    """The tags of a mail."""
    return tuple(parts.get("tags", {}).items())


def _filled(parts: Mapping[str, Any]) -> Pairs:
    """One that comes to nothing for this person is left out."""
    try:
        found = tuple((name, header_text(text)) for name, text in parts.get("headers", {}).items())
    except ValueError as error:
        raise Rejected(str(error)) from error
    return tuple((name, text) for name, text in found if text)
