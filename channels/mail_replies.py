"""What somebody wrote back by mail: whom it answers, and their own words without what they quote."""

import re
from collections.abc import Mapping
from datetime import datetime
from email import message_from_bytes, policy
from email.parser import BytesHeaderParser
from email.utils import getaddresses

from channels.inbound import Told, digest, reply

_LONGEST = 2_000
_MOST_LINES = 400
_REFERENCE = re.compile(r"<([^<>\s@]{1,200})@[^<>\s]{1,255}>")
# Those whose own id of a mail stands before the @ of its Message-ID, where they replaced ours.
NAMED_BY_PROVIDER = ("postmark", "sendgrid", "ses")
# The line with which mail programs begin what they quote: "On ..., Ann wrote:", "Am ... schrieb Ann:", "Le ... a ecrit :", rulers.
_QUOTE_BEGINS = re.compile(
    r"^(on\b.{0,200}\bwrote:|am\b.{0,200}\bschrieb\b.{0,100}:|le\b.{0,200}\ba écrit\s?:|el\b.{0,200}\bescribió:|il\b.{0,200}\bha scritto:"
    r"|-{2,}\s?(original message|ursprüngliche nachricht|forwarded message)\s?-{2,}|_{10,})\s*$",
    re.IGNORECASE,
)
_AUTOMATIC = frozenset({"auto-replied", "auto-generated", "auto-notified"})


def replies(event_id: str, word: str, at: datetime, headers: Mapping[str, str], text: str, *senders: str) -> list[Told]:
    """What a mail tells: one reply, or nothing where a machine wrote it or nothing can be read. Header names are in small letters.

    It is from the first of `senders` that holds an address. Without an `event_id` it is known by its own id, sender and words.
    """
    if _is_automatic(headers):
        return []
    sender = next(filter(None, map(_address_of, senders)), "")
    words = own_words(text)
    if not sender and not words:
        return []
    answers = _answered(headers.get("in-reply-to", ""), headers.get("references", ""))
    return [reply(event_id or digest(headers.get("message-id", ""), sender, words), word, at, sender, words, answers=answers)]


def own_words(text: str) -> str:
    """The part that the person wrote, at most 2,000 characters: without quoted lines and what follows the line that begins them."""
    kept: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:_MOST_LINES]:
        if _QUOTE_BEGINS.match(line.strip()[:_LONGEST]):
            break
        if not line.lstrip().startswith(">"):
            kept.append(line)
    return "\n".join(kept).strip().replace("\x00", "")[:_LONGEST]


def _answered(*headers: str) -> list[str]:
    """What stands before the @ in In-Reply-To and References, the nearest first: our message ids, and those of providers."""
    found = [match.group(1) for header in headers for match in reversed(list(_REFERENCE.finditer(header[:20_000])))]
    return list(dict.fromkeys(found))[:10]


def _address_of(header: str) -> str:
    """The first address in a From header; empty where there is none."""
    return next((address for _, address in getaddresses([header[:2_000]]) if "@" in address), "")


def _is_automatic(headers: Mapping[str, str]) -> bool:
    """Out-of-office notes and lists are no replies (RFC 3834)."""
    said = headers.get("auto-submitted", "").partition(";")[0].strip().lower()
    return said in _AUTOMATIC or "x-autoreply" in headers or headers.get("precedence", "").lower() in {"bulk", "junk", "list", "auto_reply"}


def of_mime(raw: bytes) -> tuple[dict[str, str], str]:
    """Headers (small letters, the last of each) and plain text of a whole mail; a broken one gives what can be read."""
    return _headers(raw), _plain_text(raw)


def _headers(raw: bytes) -> dict[str, str]:
    # The raw values: reading a broken header by the library's newer policy raises what it likes.
    found = BytesHeaderParser(policy=policy.compat32).parsebytes(raw).raw_items()
    return {name.lower(): str(value).replace("\x00", "").encode("utf-8", "replace").decode() for name, value in found}


def _plain_text(raw: bytes) -> str:
    try:
        body = message_from_bytes(raw, policy=policy.default).get_body(("plain",))
        return str(body.get_content()) if body is not None else ""
    except Exception:  # noqa: BLE001 - anybody may write to us, and the library raises all kinds of errors over a broken or deep mail
        return ""


def of_header_block(block: str) -> dict[str, str]:
    """The headers of a block of text as SendGrid sends it."""
    return _headers(block.encode("utf-8", "replace") + b"\r\n\r\n")
