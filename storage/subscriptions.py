"""A browser's subscription for Web Push as it is kept: the JSON of the Push API with its URL and keys, written in one way."""

from base64 import b64decode
from typing import Any
from urllib.parse import urlsplit

import orjson

from journeys.language.errors import Invalid, Problem

_MOST_BYTES = 4096
_LONGEST_URL = 2000
_POINT_BYTES = 65
_SECRET_BYTES = 16


def subscription_as_kept(text: str) -> str:
    """Read what `JSON.stringify(subscription)` gave in the browser. Raises Invalid, without anything of it."""
    try:
        found = orjson.loads(text) if len(text.encode()) <= _MOST_BYTES else None
    except orjson.JSONDecodeError:
        found = None
    kept = _kept(found) if isinstance(found, dict) else None
    if kept is None:
        words = "a browser's subscription is its JSON whole: endpoint (an https URL) and keys with p256dh and auth"
        raise Invalid([Problem("", "invalid_subscription", words)])
    return orjson.dumps(kept).decode()


def _kept(found: dict[str, Any]) -> dict[str, Any] | None:
    url, keys = found.get("endpoint"), found.get("keys")
    if not isinstance(keys, dict) or not _is_url(url):
        return None
    point, secret = _decoded(keys.get("p256dh")), _decoded(keys.get("auth"))
    if len(point) != _POINT_BYTES or point[0] != 4 or len(secret) != _SECRET_BYTES:  # noqa: PLR2004 - an uncompressed point
        return None
    return {"endpoint": url, "keys": {"auth": _bare(keys["auth"]), "p256dh": _bare(keys["p256dh"])}}


def _is_url(url: object) -> bool:
    if not isinstance(url, str) or len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and (parts.port or 443) > 0
    except ValueError:
        return False


def _decoded(text: object) -> bytes:
    if not isinstance(text, str):
        return b""
    bare = _bare(text)
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""


def _bare(text: str) -> str:
    return text.rstrip("=")
