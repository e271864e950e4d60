"""A browser at the far end of Web Push: its keys, its subscription, and the opening of what was sealed for it (RFC 8291, RFC 8188)."""

import hashlib
import hmac
import os
import struct
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from channels.push.keys import point_of
from tests.channels.push.rig import base64url


@dataclass
class Browser:
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = field(default_factory=lambda: os.urandom(16))

    def subscription(self, url: str) -> str:
        """As `JSON.stringify(subscription)` writes it."""
        keys = {"p256dh": base64url(point_of(self.key.public_key())), "auth": base64url(self.secret)}
        return orjson.dumps({"endpoint": url, "expirationTime": None, "keys": keys}).decode()

    def opened(self, body: bytes) -> bytes:
        salt, record, length = body[:16], *struct.unpack("!LB", body[16:21])
        point, sealed = body[21 : 21 + length], body[21 + length :]
        assert (length, len(sealed) <= record, len(body) <= 4096) == (65, True, True)
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
        info = b"WebPush: info\x00" + point_of(self.key.public_key()) + point
        keying = _hkdf(self.secret, shared, info, 32)
        content_key = _hkdf(salt, keying, b"Content-Encoding: aes128gcm\x00", 16)
        plain = AESGCM(content_key).decrypt(_hkdf(salt, keying, b"Content-Encoding: nonce\x00", 12), sealed, None)
        text, mark, padding = plain.rpartition(b"\x02")
        assert mark
        assert not padding.strip(b"\x00")
        return text

    def read(self, body: bytes) -> Any:
        return orjson.loads(self.opened(body))


def _hkdf(salt: bytes, keying: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869 for up to one block."""
    extracted = hmac.digest(salt, keying, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)[:size]
