"""Signed addresses in messages: whoever holds one may leave one topic, without signing in, and nothing else."""

import hashlib
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

UNSUBSCRIBE_PATH = "/unsubscribe/"
_TOKEN_LIMIT = 2_000


@dataclass(frozen=True)
class Unsubscribe:
    """What a token asks for: this person, at this endpoint, wants nothing more of this topic."""

    app: str
    user_id: int
    endpoint_id: int | None
    topic: str


def unsubscribe_url(base_url: str, secret: str, app: str, user_id: int, endpoint_id: int | None, topic: str) -> str:
    """The address for List-Unsubscribe and for the visible link. GET shows a page, POST acts (RFC 8058). It does not expire."""
    payload = [app, user_id, endpoint_id, topic]
    return f"{base_url.rstrip('/')}{UNSUBSCRIBE_PATH}{_key_id(secret)}.{_serializer(secret).dumps(payload)}"


def read_unsubscribe(secret: str, token: str, *, retired: tuple[str, ...] = ()) -> Unsubscribe | None:
    """What the last part of an unsubscribe address says, or None when it was not signed by us.

    `retired` are secrets of before: mails are opened months later, and their links must work after a change of the secret.
    """
    key_id, _, signed = token.partition(".")
    if len(token) > _TOKEN_LIMIT or not token.isascii():
        return None
    for candidate in (secret, *retired):
        if key_id == _key_id(candidate):
            return _read(candidate, signed)
    return None


def _read(secret: str, signed: str) -> Unsubscribe | None:
    try:
        payload: Any = _serializer(secret).loads(signed)
    except BadSignature:
        return None
    return Unsubscribe(*payload)


def _serializer(secret: str) -> URLSafeSerializer:
    signer = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(secret, salt="sojourn.unsubscribe", signer_kwargs=signer)


def _key_id(secret: str) -> str:
    """Names the secret without telling it, so that the right one is found after a change."""
    return hashlib.sha256(b"sojourn key id\0" + secret.encode()).hexdigest()[:8]
