"""What Temporal stores of people, encrypted: AES-256-GCM over each payload, the key's id beside it.

Not encrypted, because Temporal needs them: workflow ids, search attributes, names of queues, activities and signals.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from journeys.language.errors import ConfigurationError
from storage.sealing import read_key

ENCODING = b"binary/encrypted"
NONCE_BYTES = 12


def data_converter(keys: Sequence[str]) -> DataConverter:
    """How values become payloads. With keys (base64, 32 bytes each) the first encrypts and all of them decrypt; without, plain JSON."""
    if not keys:
        return pydantic_data_converter
    return replace(
        pydantic_data_converter,
        payload_codec=Encryption([read_key(text, "SOJOURN_PAYLOAD_KEYS") for text in keys]),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


class Encryption(PayloadCodec):
    """Encrypts every payload; a payload from before the key was set is read as it is."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._current = _key_id(keys[0])

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._decrypted(payload) if payload.metadata.get("encoding") == ENCODING else payload for payload in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._ciphers[self._current].encrypt(nonce, payload.SerializeToString(), self._current)
        return Payload(metadata={"encoding": ENCODING, "key": self._current}, data=sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        key_id = payload.metadata.get("key", b"")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise ConfigurationError(
                "SOJOURN_PAYLOAD_KEYS lacks a key that running workflows were encrypted with: add it behind the new one"
            )
        try:
            opened = cipher.decrypt(payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:], key_id)
        except InvalidTag as error:
            raise ConfigurationError("a payload in Temporal was changed, or SOJOURN_PAYLOAD_KEYS has another key under its id") from error
        return Payload.FromString(opened)


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"sojourn payload key" + key).hexdigest()[:8].encode()
