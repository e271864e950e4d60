"""Secrets at rest: AES-256-GCM under keys from the environment, the key's id in front, bound to the place where they lie."""

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from journeys.language.errors import ConfigurationError

_KEY_BYTES = 32
_ID_BYTES = 8
_NONCE_BYTES = 12


class Seal:
    """Seals with the first key and opens with any of them: base64 of 32 bytes each, the newest first. Without keys it does neither."""

    def __init__(self, keys: Sequence[str]) -> None:
        read = [read_key(text, "SOJOURN_CREDENTIAL_KEYS") for text in keys]
        self._ciphers = {_id_of(key): AESGCM(key) for key in read}
        self._current = _id_of(read[0]) if read else None

    def seal(self, secrets: dict[str, Any], place: str) -> bytes:
        """Raises ConfigurationError where no key is set."""
        if self._current is None:
            raise ConfigurationError("SOJOURN_CREDENTIAL_KEYS is empty: set 32 random bytes in base64 (openssl rand -base64 32)")
        nonce = os.urandom(_NONCE_BYTES)
        return self._current + nonce + self._ciphers[self._current].encrypt(nonce, orjson.dumps(secrets), place.encode())

    def open(self, sealed: bytes, place: str) -> dict[str, Any]:
        """Raises ConfigurationError where the key is not known here, or the bytes were made for another place."""
        cipher = self._ciphers.get(sealed[:_ID_BYTES])
        if cipher is None:
            raise ConfigurationError(
                "SOJOURN_CREDENTIAL_KEYS lacks a key that stored credentials were sealed with: add it behind the new one"
            )
        nonce, rest = sealed[_ID_BYTES : _ID_BYTES + _NONCE_BYTES], sealed[_ID_BYTES + _NONCE_BYTES :]
        try:
            opened: dict[str, Any] = orjson.loads(cipher.decrypt(nonce, rest, place.encode()))
        except InvalidTag as error:
            raise ConfigurationError(
                "stored credentials were changed, or SOJOURN_CREDENTIAL_KEYS has another key under their id"
            ) from error
        return opened

    def is_current(self, sealed: bytes) -> bool:
        """Whether the newest key sealed it; what is not is sealed anew by `sojourn providers reseal`."""
        return sealed[:_ID_BYTES] == self._current


def read_key(text: str, setting: str) -> bytes:
    """A key from the environment: 32 bytes in base64. Raises ConfigurationError that names the setting."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(f"{setting}: each key is 32 random bytes in base64 (openssl rand -base64 32)")
    return key


def _id_of(key: bytes) -> bytes:
    return hashlib.sha256(b"sojourn credential key" + key).digest()[:_ID_BYTES]
