"""Signed addresses in messages: whoever holds one may do one thing for one person, without signing in, and nothing else.

A token names the secret that signed it and is bound to its purpose: none of them opens another page than its own.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from itsdangerous import BadSignature, URLSafeSerializer

UNSUBSCRIBE_PATH = "/unsubscribe/"
PREFERENCES_PATH = "/preferences/"
CONFIRM_PATH = "/confirm/"
_UNSUBSCRIBE, _PREFERENCES, _CONFIRM = "sojourn.unsubscribe", "sojourn.preferences", "sojourn.confirm"
_TOKEN_LIMIT = 2_000


@dataclass(frozen=True)
class Unsubscribe:
    """What a token asks for: this person, at this endpoint, wants nothing more of this topic."""

    app: str
    user_id: int
    endpoint_id: int | None
    topic: str


@dataclass(frozen=True)
class Preferences:
    """Whose preferences a token shows and changes; it went to this endpoint."""

    app: str
    user_id: int
    endpoint_id: int | None


@dataclass(frozen=True)
class Confirm:
    """Which pending consent of whom a token confirms, until when."""

    app: str
    user_id: int
    consent_id: int
    expires_at: datetime


def unsubscribe_url(base_url: str, secret: str, app: str, user_id: int, endpoint_id: int | None, topic: str) -> str:
    """The address for List-Unsubscribe and for the visible link. GET shows a page, POST acts (RFC 8058). It does not expire."""
    return _url(base_url, UNSUBSCRIBE_PATH, secret, _UNSUBSCRIBE, [app, user_id, endpoint_id, topic])


def read_unsubscribe(secret: str, token: str, *, retired: Sequence[str] = ()) -> Unsubscribe | None:
    """What the last part of an unsubscribe address says, or None when it was not signed by us.

    `retired` are secrets of before: mails are opened months later, and their links must work after a change of the secret.
    """
    payload = _read(secret, token, _UNSUBSCRIBE, retired)
    return None if payload is None else Unsubscribe(*payload)


def preferences_url(base_url: str, secret: str, app: str, user_id: int, endpoint_id: int | None) -> str:
    """The address of the preference centre of one person. It does not expire: it stands in mails that people keep."""
    return _url(base_url, PREFERENCES_PATH, secret, _PREFERENCES, [app, user_id, endpoint_id])


def read_preferences(secret: str, token: str, *, retired: Sequence[str] = ()) -> Preferences | None:
    """Whose preferences the last part of the address opens, or None when it was not signed by us."""
    payload = _read(secret, token, _PREFERENCES, retired)
    return None if payload is None else Preferences(*payload)


def confirm_url(base_url: str, secret: str, confirm: Confirm) -> str:
    """The address that confirms one pending consent. GET shows a page, POST confirms."""
    payload = [confirm.app, confirm.user_id, confirm.consent_id, int(confirm.expires_at.timestamp())]
    return _url(base_url, CONFIRM_PATH, secret, _CONFIRM, payload)


def read_confirm(secret: str, token: str, *, retired: Sequence[str] = ()) -> Confirm | None:
    """What the last part of a confirm address says, expired ones too, or None when it was not signed by us."""
    payload = _read(secret, token, _CONFIRM, retired)
    if payload is None:
        return None
    app, user_id, consent_id, expires_at = payload
    return Confirm(app, user_id, consent_id, datetime.fromtimestamp(expires_at, tz=UTC))


def _url(base_url: str, path: str, secret: str, purpose: str, payload: Sequence[Any]) -> str:
    return f"{base_url.rstrip('/')}{path}{_key_id(secret)}.{_token(secret, purpose, payload)}"


def _token(secret: str, purpose: str, payload: Sequence[Any]) -> str:
    """What `_serializer` writes where it compresses nothing, at a tenth of its cost: two of them stand in every mail."""
    said = urlsafe_b64encode(orjson.dumps(payload)).rstrip(b"=")
    signature = urlsafe_b64encode(hmac.digest(_key(secret, purpose), said, "sha256")).rstrip(b"=")
    return f"{said.decode()}.{signature.decode()}"


def _read(secret: str, token: str, purpose: str, retired: Sequence[str]) -> list[Any] | None:
    key_id, _, signed = token.partition(".")
    if len(token) > _TOKEN_LIMIT or not token.isascii():
        return None
    for candidate in (secret, *retired):
        if key_id == _key_id(candidate):
            return _signed(candidate, purpose, signed)
    return None


def _signed(secret: str, purpose: str, signed: str) -> list[Any] | None:
    serializer = _serializer(secret, purpose)
    try:
        payload: list[Any] = serializer.loads(signed)
    except BadSignature:
        return None
    # base64 leaves bits of its last letter unused: another spelling of a token is none of ours.
    return payload if signed in {_token(secret, purpose, payload), serializer.dumps(payload)} else None


@lru_cache(maxsize=32)
def _serializer(secret: str, purpose: str) -> URLSafeSerializer:
    signer = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(secret, salt=purpose, signer_kwargs=signer)


@lru_cache(maxsize=32)
def _key(secret: str, purpose: str) -> bytes:
    """The key that the serializer derives for each signature."""
    return hmac.digest(secret.encode(), purpose.encode(), "sha256")


@lru_cache(maxsize=32)
def _key_id(secret: str) -> str:
    """Names the secret without telling it, so that the right one is found after a change."""
    return hashlib.sha256(b"sojourn key id\0" + secret.encode()).hexdigest()[:8]
