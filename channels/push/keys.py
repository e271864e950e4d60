"""Private keys of the curve P-256, as providers hand them out. Nothing of a key is ever in an error."""

from base64 import b64decode, urlsafe_b64encode
from binascii import Error

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key

_SCALAR_BYTES = 32


def p256_from_pem(text: str) -> str:
    """Check a PEM file (Apple's .p8) and return it as PEM. Raises ValueError."""
    try:
        key = load_pem_private_key(text.strip().encode() + b"\n", password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the .p8 file whole, from BEGIN PRIVATE KEY to END PRIVATE KEY") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("a key of the curve P-256")  # noqa: TRY004 - pydantic reads ValueError
    return pem(key)


def p256_from_scalar(text: str) -> str:
    """Check a VAPID private key (32 bytes in base64url, as its generators print it) and return it as PEM. Raises ValueError."""
    if text.lstrip().startswith("-----BEGIN"):
        return p256_from_pem(text)
    try:
        scalar = from_base64url(text)
        key = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
    except ValueError:
        raise ValueError("32 bytes in base64url, or a PEM file") from None
    if len(scalar) != _SCALAR_BYTES:
        raise ValueError("32 bytes in base64url, or a PEM file")
    return pem(key)


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """The 65 bytes by which the other side knows the key."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def from_base64url(text: str) -> bytes:
    """Raises ValueError for what is none; padding may be there or not."""
    bare = text.strip().rstrip("=")
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (Error, UnicodeError):
        raise ValueError("no base64url") from None


def to_base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
