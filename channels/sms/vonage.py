"""Texts through Vonage's Messages API (v1).

| answer                                       | verdict                          |
|----------------------------------------------|----------------------------------|
| 202 with message_uuid                        | sent                             |
| 402: the account has no credit               | NotSent: the account's trouble   |
| 422: a number or a sender that is none       | Rejected                         |
| all else                                     | channels/provider_api.py         |

It knows no idempotency key; our id goes out as client_ref and comes back in its status webhooks.
"""

from base64 import b64encode
from dataclasses import dataclass

import orjson

from channels.base import Ambiguous, NotSent, Outgoing, Receipt, at_cost
from channels.provider_api import ProviderApi, refusal
from channels.sms.text import Senders, Text, text_of
from channels.tariff import NO_LIMIT, TextTariff

_LONGEST = 1000
_NO_CREDIT = 402


@dataclass(frozen=True)
class VonageAccount:
    """`webhook_signature_secret` proves its webhooks. `base_url` only for a stand-in."""

    api_key: str
    api_secret: str
    webhook_signature_secret: str = ""
    base_url: str = ""


class Vonage:
    name = "vonage"
    channel = "sms"

    def __init__(self, account: VonageAccount, senders: Senders, tariff: TextTariff = NO_LIMIT) -> None:
        basic = b64encode(f"{account.api_key}:{account.api_secret}".encode()).decode("ascii")
        self._headers = {"authorization": f"Basic {basic}", "content-type": "application/json"}
        self._senders = senders
        self._tariff = tariff
        self._api = ProviderApi(account.base_url or "https://api.nexmo.com")
        # The Account API lives on another host than the Messages API.
        self._account_api = ProviderApi(account.base_url or "https://rest.nexmo.com")

    async def send(self, outgoing: Outgoing) -> Receipt:
        text = text_of(outgoing, self._senders, self._tariff, longest=_LONGEST)
        body = orjson.dumps(_asked(text, str(outgoing.message_id)))
        with at_cost(text.cost):
            answer = await self._api.post("/v1/messages", outgoing, content=body, headers=self._headers)
            if answer.is_success:
                return Receipt(answer.reference("message_uuid"), cost=text.cost)
            if answer.status == _NO_CREDIT:
                raise NotSent("HTTP 402: the account has no credit")
            raise refusal(answer, answer.members().get("title"))

    async def verify(self) -> None:
        """The balance: whether the credentials hold."""
        answer = await self._account_api.get("/account/get-balance", self._headers)
        if not isinstance(answer.members().get("value"), int | float):
            raise Ambiguous(f"HTTP {answer.status} without a balance")

    async def close(self) -> None:
        await self._api.close()
        await self._account_api.close()


def _asked(text: Text, message_id: str) -> dict[str, object]:
    dlt = {"sms": {"entity_id": text.dlt[0], "content_id": text.dlt[1]}} if text.dlt else {}
    # Vonage writes E.164 without its +.
    return {
        "channel": "sms",
        "message_type": "text",
        "to": text.recipient.removeprefix("+"),
        "from": text.sender.removeprefix("+"),
        "text": text.body,
        "client_ref": message_id,
        **dlt,
    }
