"""A browser's subscription as it stands in an endpoint's address: the JSON of the Push API, with its URL and its two keys."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson
from cryptography.hazmat.primitives.asymmetric import ec

from channels.base import Rejected
from channels.push.encryption import Reader
from channels.push.keys import from_base64url

_SECRET_BYTES = 16
_HTTPS = 443


@dataclass(frozen=True)
class Subscription:
    """Where the push service takes messages for this browser, and how they are sealed for it."""

    url: str
    reader: Reader

    @property
    def origin(self) -> str:
        """Whom our VAPID token is for, as RFC 6454 writes an origin: without the port that https has anyway."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"https://{host}" if parts.port in (None, _HTTPS) else f"https://{host}:{parts.port}"


def subscription(address: str) -> Subscription:
    """Read an address. Raises Rejected, and the address is used no more: what cannot be read today cannot be read tomorrow."""
    try:
        found = orjson.loads(address)
        url, keys = found["endpoint"], found["keys"]
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(keys["p256dh"]))
        secret = from_base64url(keys["auth"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Rejected("the address is no subscription of a browser", suppress=True) from error
    if not isinstance(url, str) or not url.startswith("https://") or len(secret) != _SECRET_BYTES:
        raise Rejected("the address is no subscription of a browser", suppress=True)
    return Subscription(url, Reader(point, secret))
