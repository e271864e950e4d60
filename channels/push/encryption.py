"""A message that only one browser can read: RFC 8291 over the coding aes128gcm of RFC 8188, in one record."""

import os
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from channels.push.keys import point_of

_RECORD_BYTES = 4096
_SALT_BYTES = 16
_TAG_BYTES = 16
_HEADER_BYTES = _SALT_BYTES + 4 + 1 + 65
# The last record ends in this byte; the tag is counted in the record.
_END = b"\x02"
MOST_BYTES = _RECORD_BYTES - _HEADER_BYTES - _TAG_BYTES - len(_END)
"""What every push service takes: 4,096 bytes with all that the encryption adds (RFC 8030, section 7.2)."""


@dataclass(frozen=True)
class Reader:
    """The browser of one subscription: its public point, and the secret that it shares with the site."""

    point: ec.EllipticCurvePublicKey
    secret: bytes


def encrypted(plain: bytes, reader: Reader, *, key: ec.EllipticCurvePrivateKey | None = None, salt: bytes = b"") -> bytes:
    """The body of a request to the push service. `key` and `salt` are new for each message; tests name those of the RFC."""
    ours = key or ec.generate_private_key(ec.SECP256R1())
    ours_point, theirs_point = point_of(ours.public_key()), point_of(reader.point)
    shared = ours.exchange(ec.ECDH(), reader.point)
    keying = _derived(shared, reader.secret, b"WebPush: info\x00" + theirs_point + ours_point, 32)
    return coded(plain, keying, salt or os.urandom(_SALT_BYTES), ours_point)


def coded(plain: bytes, keying: bytes, salt: bytes, key_id: bytes) -> bytes:
    """aes128gcm of RFC 8188: header and one record."""
    content_key = _derived(keying, salt, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _derived(keying, salt, b"Content-Encoding: nonce\x00", 12)
    header = salt + struct.pack("!LB", _RECORD_BYTES, len(key_id)) + key_id
    return header + AESGCM(content_key).encrypt(nonce, plain + _END, None)


def _derived(keying: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=size, salt=salt, info=info).derive(keying)
