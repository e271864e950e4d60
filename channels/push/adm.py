"""Push through Amazon Device Messaging, to Fire tablets and Fire TV.

| answer                                             | verdict                                              |
|----------------------------------------------------|------------------------------------------------------|
| 200 with registrationID                            | sent; another id than ours is the device's new one   |
| 400 Unregistered, InvalidRegistrationId            | Rejected, the device is used no more                 |
| other 400, 413 MessageTooLarge                     | Rejected                                             |
| 401 AccessTokenExpired                             | one more try with a new access token, then NotSent   |
| 429 MaxRateExceeded, 503                           | NotSent, with Retry-After                            |
| 500                                                | Ambiguous                                            |
| no access token                                    | NotSent                                              |

It knows no idempotency key, and may deliver twice itself; our id is in the data.
"""

import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from channels.base import Outgoing, Receipt
from channels.provider_api import Answer, ProviderApi, refusal
from channels.push.payload import Push, data_with_ids, push_for, refuse_when_larger, written
from channels.push.tokens import Tokens
from channels.push.verifying import nothing_to

_MOST_BYTES = 6144
_DEAD = ("Unregistered", "InvalidRegistrationId")
_UNAUTHORIZED = 401
_HEADERS = {
    "content-type": "application/json",
    "x-amzn-type-version": "com.amazon.device.messaging.ADMMessage@1.0",
    "x-amzn-accept-type": "com.amazon.device.messaging.ADMSendResult@1.0",
}


@dataclass(frozen=True)
class AdmAccount:
    """The credentials of the app's security profile. `base_url` only for a stand-in."""

    client_id: str
    client_secret: str
    base_url: str = ""


class Adm:
    name = "adm"
    channel = "push"

    def __init__(self, account: AdmAccount, verify: ssl.SSLContext | None = None) -> None:
        self._account = account
        self._api = ProviderApi(account.base_url or "https://api.amazon.com", verify=verify)
        self._tokens = Tokens(self._exchange)

    async def send(self, outgoing: Outgoing) -> Receipt:
        asked = _asked(push_for(self.name, outgoing), outgoing)
        refuse_when_larger(written({name: asked[name] for name in ("notification", "data") if name in asked}), _MOST_BYTES)
        answer = await self._post(written(asked), outgoing)
        if not answer.is_success:
            reason = answer.members().get("reason")
            raise refusal(answer, reason, suppress=reason in _DEAD)
        registration = answer.reference("registrationID")
        return Receipt(answer.headers.get("x-amzn-requestid"), None if registration == outgoing.address else registration)

    async def verify(self) -> None:
        """Fetch an access token, which Amazon gives to nobody else."""
        await self._tokens.current(nothing_to("nobody"))

    async def close(self) -> None:
        await self._api.close()

    async def _post(self, body: bytes, outgoing: Outgoing) -> Answer:
        token = await self._tokens.current(outgoing)
        answer = await self._post_with(token, body, outgoing)
        if answer.status != _UNAUTHORIZED:
            return answer
        self._tokens.forget(token)
        return await self._post_with(await self._tokens.current(outgoing), body, outgoing)

    async def _post_with(self, token: str, body: bytes, outgoing: Outgoing) -> Answer:
        path = f"/messaging/registrations/{quote(outgoing.address, safe='')}/messages"
        return await self._api.post(path, outgoing, content=body, headers={**_HEADERS, "authorization": f"Bearer {token}"})

    async def _exchange(self, outgoing: Outgoing) -> Answer:
        form = {
            "grant_type": "client_credentials",
            "scope": "messaging:push",
            "client_id": self._account.client_id,
            "client_secret": self._account.client_secret,
        }
        headers = {"content-type": "application/x-www-form-urlencoded;charset=UTF-8"}
        return await self._api.post("/auth/O2/token", outgoing, content=urlencode(form).encode("ascii"), headers=headers)


def _asked(push: Push, outgoing: Outgoing) -> dict[str, Any]:
    asked: dict[str, Any] = {"data": data_with_ids(push, outgoing), "consolidationKey": push.collapse or str(outgoing.message_id)}
    if not push.silent:
        asked["notification"] = {"title": push.title, "body": push.body}
    if push.ttl is not None:
        asked["expiresAfter"] = push.ttl
    return asked
