"""Push through Apple's service (APNs): HTTP/2, with a token of ours.

| answer                                                                 | verdict                                                 |
|------------------------------------------------------------------------|---------------------------------------------------------|
| 200 with apns-id                                                       | sent                                                    |
| 410 Unregistered, ExpiredToken                                         | Rejected, dead since its timestamp                      |
| 400 BadDeviceToken, DeviceTokenNotForTopic                             | Rejected, the device is used no more                    |
| 400 BadTopic, MissingTopic, TopicDisallowed                            | NotSent: the account's trouble                          |
| 403, 429 TooManyProviderTokenUpdates                                   | NotSent: our credentials                                |
| 429 TooManyRequests, 503                                               | NotSent, with Retry-After                               |
| other 4xx, 413 PayloadTooLarge                                         | Rejected                                                |
| 500                                                                    | Ambiguous                                               |

It knows no idempotency key; apns-id and apns-collapse-id are our id, so that a double is shown once.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal
from urllib.parse import quote

import jwt
from pydantic import AfterValidator, Field

from channels.base import Ambiguous, NotSent, Outgoing, Receipt, Rejected, SendFailed
from channels.provider_api import Answer, ProviderApi, refusal
from channels.push.keys import p256_from_pem
from channels.push.payload import Push, data_with_ids, push_for, refuse_when_larger, written
from channels.push.verifying import nothing_to

_HOSTS = {"production": "https://api.push.apple.com", "sandbox": "https://api.sandbox.push.apple.com"}
_MOST_BYTES = 4096
_DEAD = ("BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken")
_ACCOUNT = ("BadTopic", "MissingTopic", "TopicDisallowed")
# Apple wants a token for 20 to 60 minutes. Its time is that of a slice of 40 minutes, so every process and every restart says the same.
_SLICE_S = 2400
# A clock of ours that is a little fast must not date a token in the future.
_FAST_CLOCK_S = 60
_NO_DEVICE = "0" * 64


@dataclass(frozen=True)
class ApnsAccount:
    """`private_key` is the .p8 file of the key `key_id`; `topic` the app's bundle id. `base_url` only for a stand-in."""

    key_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{10}$")]
    team_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{10}$")]
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,255}$")]
    private_key: Annotated[str, AfterValidator(p256_from_pem)]
    environment: Literal["production", "sandbox"] = "production"
    base_url: str = ""


class Apns:
    name = "apns"
    channel = "push"

    def __init__(self, account: ApnsAccount, verify: ssl.SSLContext | None = None) -> None:
        self._account = account
        self._api = ProviderApi(account.base_url or _HOSTS[account.environment], http2=True, verify=verify)

    async def send(self, outgoing: Outgoing) -> Receipt:
        push = push_for(self.name, outgoing)
        body = written(_payload(push, outgoing))
        refuse_when_larger(body, _MOST_BYTES)
        answer = await self._post(body, outgoing, _headers(push, outgoing))
        if not answer.is_success:
            raise _refused(answer)
        ref = answer.headers.get("apns-id")
        if not ref:
            raise Ambiguous(f"HTTP {answer.status} without apns-id")
        return Receipt(ref[:200])

    async def verify(self) -> None:
        """Send what wakes nobody to a token that no device has: it is refused for the token, or for us."""
        asked = nothing_to(_NO_DEVICE)
        answer = await self._post(b'{"aps":{"content-available":1}}', asked, {"apns-push-type": "background", "apns-priority": "5"})
        if not answer.is_success and answer.members().get("reason") not in _DEAD:
            raise _refused(answer)

    async def close(self) -> None:
        await self._api.close()

    async def _post(self, body: bytes, outgoing: Outgoing, headers: Mapping[str, str]) -> Answer:
        ours = {"authorization": f"bearer {self._token()}", "apns-topic": self._account.topic, "content-type": "application/json"}
        path = f"/3/device/{quote(outgoing.address, safe='')}"
        return await self._api.post(path, outgoing, content=body, headers={**headers, **ours})

    def _token(self) -> str:
        now_s = int(datetime.now(UTC).timestamp()) - _FAST_CLOCK_S
        return _signed(self._account, now_s - now_s % _SLICE_S)


@lru_cache(maxsize=64)
def _signed(account: ApnsAccount, at_s: int) -> str:
    claims = {"iss": account.team_id, "iat": at_s}
    return jwt.encode(claims, account.private_key, algorithm="ES256", headers={"kid": account.key_id})


def _headers(push: Push, outgoing: Outgoing) -> dict[str, str]:
    expires = {}
    if push.ttl is not None:
        # 0 is now or never.
        expires = {"apns-expiration": str(int(datetime.now(UTC).timestamp()) + push.ttl if push.ttl else 0)}
    return {
        "apns-id": str(outgoing.message_id),
        "apns-collapse-id": push.collapse or str(outgoing.message_id),
        "apns-push-type": "background" if push.silent else "alert",
        "apns-priority": "5" if push.silent or push.priority == "normal" else "10",
        **expires,
    }


def _payload(push: Push, outgoing: Outgoing) -> dict[str, Any]:
    aps: dict[str, Any] = {"content-available": 1} if push.silent else {"alert": {"title": push.title, "body": push.body}}
    named = {"badge": push.badge, "sound": push.sound}
    aps |= {name: value for name, value in named.items() if value is not None}
    image = {}
    if push.image is not None:
        # The app's notification service extension fetches it: this lets it work before the notification is shown.
        aps["mutable-content"] = 1
        image = {"image": push.image}
    return {**data_with_ids(push, outgoing), **image, "aps": aps}


def _refused(answer: Answer) -> SendFailed:
    members = answer.members()
    reason = members.get("reason")
    told = f"HTTP {answer.status} {reason}"
    if reason in _DEAD:
        return Rejected(told, suppress=True, dead_since=_moment(members.get("timestamp")))
    if reason in _ACCOUNT:
        return NotSent(f"{told}: the account")
    return refusal(answer, reason)


def _moment(milliseconds: object) -> datetime | None:
    if not isinstance(milliseconds, int) or not 0 < milliseconds < 1 << 45:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
