"""What providers call us with: the call as it came, what it may tell, and what every reader of it shares.

A reader is pure: it verifies the raw bytes first, against the account's secrets, and only then looks into them. Words that it does not know
are told as `unknown` with the raw event; nothing that a provider may send is an error once it is verified.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import Message
from typing import Any, Literal
from urllib.parse import parse_qsl
from uuid import UUID

from channels.said import Said, parsed
from journeys.language.errors import SojournError

Word = Literal[
    "accepted", "delivered", "bounced", "complained", "opened", "clicked", "unsubscribed", "resubscribed",
    "delayed", "refused", "replied", "unknown",
]  # fmt: skip
"""Our words. bounced: `detail` says whether it is hard. delayed: kept, no state. refused: by the provider after it had accepted."""

Reach = Literal["channel", "marketing"]
"""How far a word of leaving or coming back goes: everything on the channel, or its marketing alone."""

MESSAGE = "sojourn_message"
_TOLERANCE = timedelta(minutes=5)
_LONGEST = 2_000
_MOST_FIELDS = 1_000
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 100_000_000_000
_URLENCODED = "application/x-www-form-urlencoded"


class Forged(SojournError):
    """The call does not prove that it comes from the provider, or the account has no secret to prove it with. Nothing of it is read."""


class Unfitting(SojournError):
    """The call is the provider's own and not in the form that we were promised. Set the provider up as the how-to says."""


class CertificateNeeded(Exception):
    """To verify the call, fetch this certificate and read again. The address has been judged already."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(url)


@dataclass(frozen=True)
class Call:
    """One call as it came. `url` is the public one, with its query; header names are in small letters."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    method: str = "POST"
    certificates: Mapping[str, bytes] = field(default_factory=dict)

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    def query(self, name: str) -> str:
        return dict(parse_qsl(self.url.partition("?")[2])).get(name, "")

    def credentials(self, scheme: str) -> str:
        """What the header Authorization holds by this scheme (in small letters); empty where there is none."""
        kind, _, given = self.header("authorization").partition(" ")
        return given.strip() if kind.lower() == scheme else ""

    @property
    def password(self) -> str:
        """The password of Basic authentication; empty where there is none."""
        return bytes_of(self.credentials("basic")).decode("utf-8", "replace").partition(":")[2]

    @property
    def body_sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def is_recent(self, seconds: str, tolerance: timedelta = _TOLERANCE) -> bool:
        """Tell whether a Unix time in a header is near enough to now, so that an old call cannot be played again."""
        if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= len("1700000000000")):
            return False
        return abs(self.at.timestamp() - int(seconds)) <= tolerance.total_seconds()

    def moment(self, text: str) -> datetime:
        """A time as providers write it (`instant`); of what is none, or lies ahead, the time when the call came."""
        found = instant(text)
        return found if found is not None and _EARLIEST <= found <= self.at + _TOLERANCE else self.at

    def events(self) -> list[Said]:
        """The objects of the body: of a list, or the one. Raises Unfitting: the provider is set up to send something else."""
        try:
            return parsed(self.body).each()
        except ValueError:
            raise Unfitting("the body is not JSON") from None

    def event(self) -> Said:
        """The first of them, empty where there is none. Raises Unfitting."""
        return next(iter(self.events()), Said({}))

    @property
    def is_form(self) -> bool:
        return self._content_type in {_URLENCODED, "multipart/form-data"}

    def fields(self, charset: str = "utf-8") -> dict[str, str]:
        """A form as names and texts, however it is written; files are left out, and of a repeated name the last counts.

        Empty where it cannot be read: who proves a call by its fields then proves nothing.
        """
        try:
            return self._fields(charset)
        except (ValueError, RecursionError):  # more fields than any provider sends, or parts nested within parts
            return {}

    def _fields(self, charset: str) -> dict[str, str]:
        if self._content_type == _URLENCODED:
            return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        head = b"content-type: " + self.header("content-type").encode("ascii", "replace") + b"\r\n\r\n"
        parts = message_from_bytes(head + self.body, policy=policy.compat32).walk()
        return {str(part.get_param("name", "", "content-disposition")): _text(part, charset) for part in parts if not part.get_filename()}

    @property
    def _content_type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Told:
    """One event about one recipient. `event_id` is unique in its account. `message_id` is ours, `ref` the provider's; empty: not said."""

    event_id: str
    kind: Word
    word: str
    occurred_at: datetime
    message_id: UUID | None = None
    ref: str = ""
    address: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    raw: str = "{}"


@dataclass(frozen=True)
class Heard:
    """What a call came to. `confirm` is an address to fetch once; `answer` what the provider expects to read."""

    told: Sequence[Told] = ()
    confirm: str | None = None
    answer: str = ""


Settings = Mapping[str, Any]
Reader = Callable[[Call, Settings], Heard]


def detail(
    *, hard: bool | None = None, code: str = "", status: str = "", url: str = "", machine: bool = False, reach: Reach | None = None
) -> dict[str, Any]:
    """What is known of an event beside its word; what is not known is left out. `hard` is of a bounce, `url` of a click.

    `reach` is of who leaves or comes back.
    """
    known = {"hard": hard, "code": code, "status": status, "url": url[:_LONGEST], "machine": machine or None, "reach": reach}
    return {name: value for name, value in known.items() if value not in ("", None)}


def reply(
    event_id: str, word: str, at: datetime, address: str, text: str, *, answers: Sequence[str] = (), ref: str = "", keyword: str = ""
) -> Told:
    """What somebody wrote to us. `answers` are our ids that it quotes, `ref` the provider's; `keyword`: what the provider read in it."""
    said = {"text": text[:_LONGEST], "answers": list(answers), "ref": ref, "keyword": keyword}
    return Told(event_id, "replied", word, at, address=address, detail=said)


def secret(settings: Settings, name: str) -> bytes:
    """A secret of the account. Raises Forged where it is not set: without it nothing can be proved."""
    found = settings.get(name)
    if not isinstance(found, str) or not found:
        raise Forged(f"set {name} of this account first: without it nobody can tell who calls")
    return found.encode()


def prove(*, given: str | bytes, expected: str | bytes) -> None:
    """Compare in constant time. Raises Forged."""
    left, right = (each.encode("utf-8", "surrogateescape") if isinstance(each, str) else each for each in (given, expected))
    if not hmac.compare_digest(left, right):
        raise Forged("the signature is not right")


def hmac_sha256(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, hashlib.sha256)


def bytes_of(text: str) -> bytes:
    """Base64, strictly; empty where it is none. One text for the same bytes: bits that nobody reads must not differ."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return found if base64.b64encode(found).decode("ascii") == text else b""


def with_plus(number: str) -> str:
    """E.164, of providers that write it without its +."""
    return f"+{number}" if number.isascii() and number.isdigit() else number


def digest(*parts: str) -> str:
    """An event id for an event that has none: what makes it this event and no other."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:40]


def instant(text: str) -> datetime | None:
    """A time as providers write it, ISO 8601 or Unix seconds or milliseconds; None where it is none."""
    try:
        number = float(text)
    except ValueError:
        return _iso(text)
    return _unix(number)


def _unix(number: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _iso(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _text(part: Message, charset: str) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(charset, "replace")
    except LookupError:
        return payload.decode("utf-8", "replace")
