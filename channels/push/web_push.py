"""Push to browsers: Web Push (RFC 8030), encrypted for the one browser (RFC 8291), signed with VAPID (RFC 8292).

| until                    | what happened                                      | verdict                                          |
|--------------------------|----------------------------------------------------|--------------------------------------------------|
| the address was judged   | not public, not a URL                              | Rejected                                         |
| an answer                | 201, 202                                           | sent                                             |
| an answer                | 404, 410                                           | Rejected, the subscription is used no more       |
| an answer                | 403 of a subscription that was made for another key | Rejected, the subscription is used no more      |
| an answer                | other 401, 403                                     | NotSent: our VAPID key                           |
| an answer                | other 2xx                                          | Ambiguous                                        |
| all else                 |                                                    | channels/provider_api.py                         |

The subscription names the push service, and anybody can write a subscription: its URL passes channels/egress.py. It knows no idempotency
key; `Topic` and the notification's tag are our id, or made from `collapse`, so that a double takes the place of the first.
"""

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, Field

from channels.base import Ambiguous, NotVerifiable, Outgoing, Receipt, Rejected, ToReceivers
from channels.deadline import refuse_when_late
from channels.egress import Egress
from channels.provider_api import Answer, ProviderApi, refusal
from channels.push.encryption import MOST_BYTES, encrypted
from channels.push.keys import p256_from_scalar, point_of, to_base64url
from channels.push.payload import LONGEST_TTL_S, Push, data_with_ids, push_for, refuse_when_larger, written
from channels.push.subscription import Subscription, subscription

_TAKEN = (201, 202)
_GONE = (404, 410)
_FORBIDDEN = 403
# How Google's and Apple's services say that the browser subscribed with another VAPID key.
_OTHER_KEY = (b"do not correspond to the credentials used to create the subscriptions", b"VapidPkHashMismatch")
_TOPIC_CHARACTERS = 32
# At most 24 hours (RFC 8292, section 2). One token serves an hour: some services want few of them.
_GOOD_FOR = timedelta(hours=12)
_SLICE_S = 3600
_DECLARATIVE = 8030


@dataclass(frozen=True)
class WebPushAccount:
    """`private_key` is the VAPID key of the site (32 bytes in base64url, or PEM), `subject` how a push service reaches you.

    `base_url` only for a stand-in: then subscriptions may lead to loopback.
    """

    private_key: Annotated[str, AfterValidator(p256_from_scalar)]
    subject: Annotated[str, Field(pattern=r"^(mailto:[^\s@]+@[^\s@]+|https://[^\s]+)$", max_length=300)]
    base_url: str = ""


class WebPush(ToReceivers):
    """A subscription names its own push service, which anybody can write: none is the account's provider."""

    name = "web_push"
    channel = "push"

    def __init__(self, account: WebPushAccount, verify: ssl.SSLContext | None = None, egress: Egress | None = None) -> None:
        self._account = account
        self._egress = egress or Egress(may_reach_loopback=bool(account.base_url))
        # A kept connection is known by its address only; the next request to it might be for another name.
        self._api = ProviderApi("", verify=verify, keeps_connections=False)

    async def send(self, outgoing: Outgoing) -> Receipt:
        found = subscription(outgoing.address)
        push = push_for(self.name, outgoing)
        plain = written(_payload(push, outgoing))
        refuse_when_larger(plain, MOST_BYTES)
        refuse_when_late(outgoing)
        destination = await self._egress.judge(found.url)
        answer = await self._api.post(
            destination.url_by_address,
            outgoing,
            content=encrypted(plain, found.reader),
            headers={**_headers(push, outgoing), "authorization": self._authorization(found), "host": destination.host_header},
            tls_name=destination.host,
        )
        if answer.status not in _TAKEN:
            raise _refused(answer)
        return Receipt()

    async def verify(self) -> None:
        """Raises NotVerifiable: only a browser's own push service can judge the key, and only with a message."""
        raise NotVerifiable("a push service judges the VAPID key only with a message to a browser")

    async def close(self) -> None:
        await self._api.close()

    def _authorization(self, found: Subscription) -> str:
        now_s = int(datetime.now(UTC).timestamp())
        return _vapid(self._account, found.origin, now_s - now_s % _SLICE_S)


@lru_cache(maxsize=256)
def _vapid(account: WebPushAccount, origin: str, at_s: int) -> str:
    key = load_pem_private_key(account.private_key.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the account's key has been checked")
    claims = {"aud": origin, "exp": at_s + int(_GOOD_FOR.total_seconds()), "sub": account.subject}
    return f"vapid t={jwt.encode(claims, key, algorithm='ES256')}, k={to_base64url(point_of(key.public_key()))}"


def _headers(push: Push, outgoing: Outgoing) -> dict[str, str]:
    return {
        "content-type": "application/octet-stream",
        "content-encoding": "aes128gcm",
        "ttl": str(LONGEST_TTL_S if push.ttl is None else push.ttl),
        "topic": outgoing.message_id.hex if push.collapse is None else _topic(push.collapse),
        "urgency": push.priority or "normal",
    }


def _topic(collapse: str) -> str:
    """At most 32 characters of base64url (RFC 8030, section 5.4)."""
    return to_base64url(hashlib.sha256(collapse.encode()).digest())[:_TOPIC_CHARACTERS]


def _payload(push: Push, outgoing: Outgoing) -> Mapping[str, Any]:
    """What the site's service worker reads, in the form that browsers with Declarative Web Push show by themselves."""
    shown = {"title": push.title, "body": push.body, "image": push.image, "navigate": push.url}
    notification = {name: value for name, value in shown.items() if value is not None} | {
        "tag": push.collapse or str(outgoing.message_id),
        "data": data_with_ids(push, outgoing),
    }
    # A declarative message without a place to go is none.
    declarative = {"web_push": _DECLARATIVE} if push.url is not None else {}
    badge = {"app_badge": push.badge} if push.badge is not None else {}
    return {**declarative, "notification": notification, **badge}


def _refused(answer: Answer) -> Exception:
    told = f"HTTP {answer.status}"
    if answer.status in _GONE:
        return Rejected(told, suppress=True)
    if answer.status == _FORBIDDEN and any(words in answer.body for words in _OTHER_KEY):
        return Rejected(f"{told}: the browser subscribed with another VAPID key", suppress=True)
    if answer.is_success:
        return Ambiguous(told)
    return refusal(answer)
