"""What providers call us with: the call as it came, what it may tell, and what every reader of it shares.

A reader is pure: it verifies the raw bytes first, against the account's secrets, and only then looks into them. Words that it does not know
are told as `unknown` with the raw event; nothing that a provider may send is an error once it is verified.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl
from uuid import UUID

import orjson

from journeys.language.errors import SojournError

Word = Literal[
    "accepted", "delivered", "bounced", "complained", "opened", "clicked", "unsubscribed", "resubscribed",
    "delayed", "refused", "replied", "unknown",
]  # fmt: skip
"""Our words. bounced: `detail` says whether it is hard. delayed: kept, no state. refused: by the provider after it had accepted."""

TOLERANCE = timedelta(minutes=5)
MESSAGE = "sojourn_message"
_MOST_CHARACTERS = 300
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 100_000_000_000


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

    def is_recent(self, seconds: str, tolerance: timedelta = TOLERANCE) -> bool:
        """Tell whether a Unix time in a header is near enough to now, so that an old call cannot be played again."""
        if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= len("1700000000000")):
            return False
        return abs(self.at.timestamp() - int(seconds)) <= tolerance.total_seconds()


@dataclass(frozen=True)
class Told:
    """One event about one recipient. `event_id` is unique in its account. `message_id` is ours, `ref` the provider's.

    `detail`: `hard` (of a bounce), `code`, `url`, `machine`, `text` (of a reply), `answers` (our ids that a reply quotes).
    """

    event_id: str
    kind: Word
    word: str
    occurred_at: datetime
    message_id: UUID | None = None
    ref: str | None = None
    address: str | None = None
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


def basic_password(call: Call) -> str:
    """The password of Basic authentication; empty where there is none."""
    kind, _, coded = call.header("authorization").partition(" ")
    return bytes_of(coded.strip()).decode("utf-8", "replace").partition(":")[2] if kind.lower() == "basic" else ""


def members(body: bytes) -> Any:
    """The body as JSON. Raises Unfitting: the provider is set up to send something else."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Unfitting("the body is not JSON") from None


def objects(found: Any) -> list[dict[str, Any]]:
    """The objects of a list, or the one object; what is none is left out."""
    listed = found if isinstance(found, list) else [found]
    return [each for each in listed if isinstance(each, dict)]


def form(body: bytes) -> dict[str, str]:
    """A form as names and values; of a repeated name the last counts."""
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def inner(found: Any, *path: str) -> Any:
    """What stands at the end of a path of names, or None."""
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def word(found: Any, *path: str) -> str:
    """A short text at the end of a path; a number as text; empty for everything else."""
    value = inner(found, *path)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).replace("\x00", "")[:_MOST_CHARACTERS]


def long_text(found: Any, *path: str) -> str:
    value = inner(found, *path)
    return value.replace("\x00", "") if isinstance(value, str) else ""


def our_id(text: str) -> UUID | None:
    """Our message id in what the provider echoes; a Message-ID holds it before its @."""
    try:
        return UUID(text.strip().strip("<>").partition("@")[0])
    except ValueError:
        return None


def moment(text: str, at: datetime) -> datetime:
    """A time as providers write it: ISO 8601, or Unix seconds or milliseconds. What is none, or lies ahead, is `at`, when it came."""
    found = instant(text)
    return found if found is not None and _EARLIEST <= found <= at + TOLERANCE else at


def instant(text: str) -> datetime | None:
    """A time as providers write it, or None where it is none."""
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


def raw_of(found: Any) -> str:
    """The event as text, to be kept. The standard library's ASCII also carries what UTF-8 cannot."""
    return json.dumps(found)


def detail(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """What is known of an event beside its word; empty values are left out."""
    return {name: value for name, value in pairs if value not in ("", None)}


def digest(*parts: str) -> str:
    """An event id for an event that has none: what makes it this event and no other."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:40]
