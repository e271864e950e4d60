"""Texts through Sinch's SMS API (batches).

| answer                                                  | verdict                          |
|---------------------------------------------------------|----------------------------------|
| 201 with id                                             | sent                             |
| 400, code syntax_invalid_parameter_format: no number    | Rejected                         |
| 403, code unauthorized                                  | NotSent: our credentials         |
| all else                                                | channels/provider_api.py         |

It knows no idempotency key; our id goes out as client_reference, by which it can be asked, and comes back in its delivery reports.
"""

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Literal
from urllib.parse import quote, urlencode

import orjson

from channels.base import NotSent, Outgoing, Receipt, Sought, at_cost
from channels.fields import Token
from channels.provider_api import ProviderApi, refusal
from channels.said import Said
from channels.sms.text import Senders, text_of
from channels.tariff import NO_LIMIT, TextTariff

_LONGEST = 2000
# Their clock may run before ours.
_BEFORE = timedelta(minutes=1)


@dataclass(frozen=True)
class SinchAccount:
    """`region` is where the service plan lives. `webhook_secret` proves its reports. `base_url` only for a stand-in."""

    service_plan_id: str
    api_token: Token
    region: Literal["us", "eu", "au", "br", "ca"] = "eu"
    webhook_secret: str = ""
    base_url: str = ""


class Sinch:
    name = "sinch"
    channel = "sms"

    def __init__(self, account: SinchAccount, senders: Senders, tariff: TextTariff = NO_LIMIT) -> None:
        self._headers = {"authorization": f"Bearer {account.api_token}", "content-type": "application/json"}
        self._path = f"/xms/v1/{quote(account.service_plan_id, safe='')}/batches"
        self._senders = senders
        self._tariff = tariff
        self._api = ProviderApi(account.base_url or f"https://{account.region}.sms.api.sinch.com")

    async def send(self, outgoing: Outgoing) -> Receipt:
        text = text_of(outgoing, self._senders, self._tariff, longest=_LONGEST)
        message_id = str(outgoing.message_id)
        asked = {
            "from": text.sender,
            "to": [text.recipient],
            "body": text.body,
            "client_reference": message_id,
            "delivery_report": "per_recipient",
        }
        with at_cost(text.cost):
            answer = await self._api.post(self._path, outgoing, content=orjson.dumps(asked), headers=self._headers)
            if answer.is_success:
                return Receipt(answer.reference("id"), cost=text.cost)
            raise refusal(answer, answer.members().get("code"))

    async def verify(self) -> None:
        """The service plan's groups: whether the token holds for this plan."""
        await self._api.get(self._path.removesuffix("batches") + "groups?page_size=1", self._headers)

    async def find(self, sought: Sought) -> Receipt | None:
        """By our client_reference among its batches (its API's page "List batches"), which otherwise go back a day only."""
        since = (sought.claimed_at - _BEFORE).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        asked = {"client_reference": str(sought.message_id), "start_date": since, "page_size": "1"}
        answer = await self._api.look(f"{self._path}?{urlencode(asked)}", self._headers)
        if not answer.is_success:
            raise NotSent(f"HTTP {answer.status}")
        for batch in Said(answer.members()).each("batches"):
            if batch.our_id("client_reference") == sought.message_id:
                return Receipt(batch.word("id") or None)
        return None

    async def close(self) -> None:
        await self._api.close()
