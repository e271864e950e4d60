"""The keys under which suppressions are kept, so that a copy of the database does not tell whose addresses they are (decision 0057)."""

import base64
import binascii
import hashlib
from collections.abc import Sequence

from journeys.language.errors import ConfigurationError

KEY_BYTES = 32
_BLOCK = 64
_INNER, _OUTER = 0x36, 0x5C
# For development and tests, where nothing has to be configured. Settings refuse to start in production without a key of its own.
DEVELOPMENT_KEY = "c29qb3Vybi1kZXZlbG9wbWVudC1zdXBwcmVzc2lvbiE="


def session_value(keys: Sequence[str]) -> str:
    """What a session carries as sojourn.suppression_keys: of each key, the newest first, its id and the two padded blocks of HMAC.

    Keys are 32 bytes in base64. Raises ConfigurationError.
    """
    if not keys:
        raise ConfigurationError("SOJOURN_SUPPRESSION_KEYS is empty: set 32 random bytes in base64 (openssl rand -base64 32)")
    return ",".join(_written(_decoded(key)) for key in keys)


def key_id(key: str) -> str:
    """Names a key without telling it."""
    return hashlib.sha256(b"sojourn suppression key id\0" + _decoded(key)).hexdigest()[:8]


def _decoded(key: str) -> bytes:
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise ConfigurationError("SOJOURN_SUPPRESSION_KEYS holds something that is no key: 32 bytes in base64 (openssl rand -base64 32)")
    return raw


def _written(raw: bytes) -> str:
    block = raw.ljust(_BLOCK, b"\0")
    pads = (bytes(byte ^ pad for byte in block).hex() for pad in (_INNER, _OUTER))
    return ":".join((key_id(base64.b64encode(raw).decode()), *pads))
