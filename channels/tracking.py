"""The addresses of links and pixels that are counted: short, opaque, and signed over app, message and link."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from uuid import UUID

CLICK_PATH = "/c/"
OPEN_PATH = "/o/"
OPEN_SUFFIX = ".gif"
LINK_BYTES = 8
_KEY_BYTES, _APP_BYTES, _MESSAGE_BYTES, _MAC_BYTES = 2, 4, 16, 12
# Multiples of three bytes, so that every character of a token counts: none can be changed without changing the bytes.
_CLICK_TOKEN = re.compile(r"[A-Za-z0-9_-]{56}")
_OPEN_TOKEN = re.compile(r"[A-Za-z0-9_-]{48}")
_OPEN_MAC_BYTES = 14

Kind = Literal["click", "open"]


@dataclass(frozen=True)
class Mark:
    """What a token says: a message of an app, and for a click which of its links. `link` is the link_hash of its address."""

    app: str
    message_id: UUID
    link: bytes = b""


@dataclass(frozen=True)
class Signer:
    """Signs with one secret, for one address of ours such as https://click.example.com."""

    base_url: str
    secret: str

    def click_url(self, mark: Mark) -> str:
        """Where a link of a message leads: 59 characters behind the base."""
        return f"{self.base_url}{CLICK_PATH}{_token('click', self.secret, mark)}"

    def open_url(self, mark: Mark) -> str:
        """Where the pixel of a message is found."""
        return f"{self.base_url}{OPEN_PATH}{_token('open', self.secret, mark)}{OPEN_SUFFIX}"


@lru_cache(maxsize=65_536)
def link_hash(app: str, url: str) -> bytes:
    """Names an address within an app: the same in every message, so that it is kept once."""
    return hashlib.sha256(b"sojourn link\0" + app.encode() + b"\0" + url.encode()).digest()[:LINK_BYTES]


def read_click(token: str, secrets: Sequence[str], apps: Iterable[str]) -> Mark | None:
    """What the token of a link says, or None when it was signed by none of the secrets for none of the apps."""
    if not _CLICK_TOKEN.fullmatch(token):
        return None
    return _read("click", base64.urlsafe_b64decode(token), secrets, apps, LINK_BYTES)


def read_open(token: str, secrets: Sequence[str], apps: Iterable[str]) -> Mark | None:
    """What the token of a pixel says, or None as for a link."""
    if not _OPEN_TOKEN.fullmatch(token):
        return None
    return _read("open", base64.urlsafe_b64decode(token), secrets, apps, 0)


def _token(kind: Kind, secret: str, mark: Mark) -> str:
    key = _key(secret)
    said = app_hash(mark.app) + mark.message_id.bytes + mark.link
    return base64.urlsafe_b64encode(key.id + said + _mac(kind, key.secret, mark)).decode("ascii")


def _read(kind: Kind, raw: bytes, secrets: Sequence[str], apps: Iterable[str], link_bytes: int) -> Mark | None:
    key_id, rest = raw[:_KEY_BYTES], raw[_KEY_BYTES:]
    named, rest = rest[:_APP_BYTES], rest[_APP_BYTES:]
    message, rest = rest[:_MESSAGE_BYTES], rest[_MESSAGE_BYTES:]
    link, mac = rest[:link_bytes], rest[link_bytes:]
    marks = [Mark(app, UUID(bytes=message), link) for app in apps if app_hash(app) == named]
    keys = [key for key in map(_key, secrets) if key.id == key_id]
    return next((mark for mark in marks for key in keys if hmac.compare_digest(mac, _mac(kind, key.secret, mark))), None)


def _mac(kind: Kind, key: bytes, mark: Mark) -> bytes:
    """Twelve bytes and more of HMAC-SHA256: guesses are made over HTTP, one by one."""
    said = b"%s\0%s\0%s%s" % (kind.encode(), mark.app.encode(), mark.message_id.bytes, mark.link)
    return hmac.digest(key, said, "sha256")[: _MAC_BYTES if kind == "click" else _OPEN_MAC_BYTES]


@dataclass(frozen=True)
class _Key:
    id: bytes
    secret: bytes


@lru_cache(maxsize=16)
def _key(secret: str) -> _Key:
    """A key of its own for this purpose; its id finds it again after a change, and tells nothing of it."""
    made = hmac.digest(secret.encode(), b"sojourn tracking", "sha256")
    return _Key(hashlib.sha256(b"sojourn key id\0" + made).digest()[:_KEY_BYTES], made)


@lru_cache(maxsize=4096)
def app_hash(app: str) -> bytes:
    """Finds the app that a token is of; the signature covers its whole name."""
    return hashlib.sha256(b"sojourn app\0" + app.encode()).digest()[:_APP_BYTES]
