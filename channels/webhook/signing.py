"""Signatures of Standard Webhooks 1.0 (https://github.com/standard-webhooks/standard-webhooks)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from journeys.language.errors import ConfigurationError

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def read_secret(text: str) -> bytes:
    """The bytes of a secret: `whsec_` and base64 of 24 to 64 bytes. Raises ConfigurationError."""
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not (text.startswith(_PREFIX) and _SHORTEST <= len(secret) <= _LONGEST):
        raise ConfigurationError("SOJOURN_WEBHOOK_SECRET: not whsec_ followed by base64 of 24 to 64 bytes")
    return secret


def signature_headers(secrets: Sequence[bytes], message_id: str, body: bytes, *, at_s: int) -> dict[str, str]:
    """The three headers over exactly these bytes. Several secrets while one replaces another: the receiver accepts any of them."""
    signed = b"%s.%d.%s" % (message_id.encode(), at_s, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in secrets),
    }


def _signature(secret: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode("ascii")
