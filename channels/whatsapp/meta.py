"""WhatsApp through Meta's Cloud API.

| answer                                                                             | verdict                        |
|------------------------------------------------------------------------------------|--------------------------------|
| 200 with messages[0].id                                                            | sent                           |
| 4, 80007, 130429, 131048, 131056: too much of something, also of one pair of numbers | NotSent                      |
| 0, 3, 10, 190, 200 to 299, 33, 368, 130497, 131005, 131031, 131037, 131042, 131045, 131057, 133010 | NotSent: the account's |
| 2: the API is down or overloaded                                                   | NotSent                        |
| 1, 131000, 131016: something went wrong there                                      | Ambiguous, whatever its status |
| 131026, 131030: cannot be reached; 131047: the window is closed; 131049, 131050, 130472: not wanted | Rejected |
| 100, 131008, 131009, 131021, 131051 to 131053, 132000 to 132069: what we ask for     | Rejected                     |
| all else                                                                           | channels/provider_api.py       |

Codes count, because statuses vary (developers.facebook.com, WhatsApp Business Platform, Error codes). No number is suppressed: 131026 is
said of people without the newest app too. It knows no idempotency key; our id goes out as biz_opaque_callback_data and comes back in
each status.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from pydantic import Field

from channels.base import Ambiguous, Cost, NotSent, Outgoing, Receipt, Rejected, SendFailed, at_cost
from channels.fields import Token
from channels.provider_api import Answer, ProviderApi, refusal
from channels.sms.text import numbered
from channels.tariff import NO_PRICES, Tariff
from channels.whatsapp.letter import Approved, letter_of

_LATER = frozenset({2, 4, 80007, 130429, 131048, 131056})
# Of the whole account; 131056 is one pair of numbers, and 131048 how people take our messages.
_TOO_FAST = frozenset({4, 80007, 130429})
_ACCOUNT = frozenset({0, 3, 10, 33, 190, 368, 130497, 131005, 131031, 131037, 131042, 131045, 131057, 133010, *range(200, 300)})
_WENT_WRONG = frozenset({1, 131000, 131016})
_LONGEST = 4096
_MEDIA = ("image", "video", "document")


@dataclass(frozen=True)
class MetaAccount:
    """`phone_number_id` is whom messages are from. `app_secret` and `verify_token` are what Meta's calls to us are known by."""

    phone_number_id: Annotated[str, Field(pattern="^[0-9]{5,20}$")]
    access_token: Token
    app_secret: str = ""
    verify_token: str = ""
    version: Annotated[str, Field(pattern=r"^v[0-9]{2}\.[0-9]$")] = "v23.0"
    base_url: str = ""


class MetaWhatsApp:
    name = "meta"
    channel = "whatsapp"

    def __init__(self, account: MetaAccount, tariff: Tariff = NO_PRICES) -> None:
        self._headers = {"authorization": f"Bearer {account.access_token}", "content-type": "application/json"}
        self._path = f"/{account.version}/{account.phone_number_id}"
        self._tariff = tariff
        self._api = ProviderApi(account.base_url or "https://graph.facebook.com")

    async def send(self, outgoing: Outgoing) -> Receipt:
        number, country = numbered(outgoing.address)
        letter = letter_of(outgoing, longest=_LONGEST)
        asked = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": number.removeprefix("+"),
            **_content(letter),
            "biz_opaque_callback_data": str(outgoing.message_id),
        }
        cost = cost_of(letter, country, self._tariff)
        with at_cost(cost):
            answer = await self._api.post(f"{self._path}/messages", outgoing, content=orjson.dumps(asked), headers=self._headers)
            if answer.is_success:
                return Receipt(answer.reference("messages", "id"), cost=cost)
            raise _refused(answer)

    async def verify(self) -> None:
        """The number that messages are from, which only this token may read."""
        answer = await self._api.look(f"{self._path}?fields=id", self._headers)
        if not answer.is_success:
            raise _refused(answer)

    async def close(self) -> None:
        await self._api.close()


def cost_of(letter: str | Approved, country: str, tariff: Tariff) -> Cost:
    """Templates are charged; an answer within the window is counted and costs nothing."""
    return tariff.cost(country) if isinstance(letter, Approved) else Cost(1)


def _content(letter: str | Approved) -> dict[str, Any]:
    if isinstance(letter, str):
        return {"type": "text", "text": {"preview_url": False, "body": letter}}
    if not letter.name or not letter.language:
        raise Rejected("the template needs its name and language")
    template = {"name": letter.name, "language": {"code": letter.language}, "components": list(_components(letter))}
    return {"type": "template", "template": template}


def _components(letter: Approved) -> list[dict[str, Any]]:
    header = [{"type": "header", "parameters": [_header(kind, value)]} for kind, value in letter.header.items()]
    body = [{"type": "body", "parameters": _texts(letter.body)}] if letter.body else []
    return header + body + [_button(place, button) for place, button in sorted(letter.buttons.items())]


def _header(kind: str, value: str) -> dict[str, Any]:
    return {"type": kind, kind: {"link": value}} if kind in _MEDIA else {"type": "text", "text": value}


def _texts(variables: Mapping[str, str]) -> list[dict[str, str]]:
    """Numbered variables go by their order, the others by their names."""
    if all(name.isdigit() for name in variables):
        return [{"type": "text", "text": variables[name]} for name in sorted(variables, key=int)]
    return [{"type": "text", "parameter_name": name, "text": value} for name, value in variables.items()]


def _button(place: str, button: Mapping[str, str]) -> dict[str, Any]:
    [(kind, value)] = button.items()
    if kind == "url":
        return {"type": "button", "sub_type": "url", "index": place, "parameters": [{"type": "text", "text": value}]}
    return {"type": "button", "sub_type": "quick_reply", "index": place, "parameters": [{"type": "payload", "payload": value}]}


def _refused(answer: Answer) -> SendFailed:
    error = answer.members().get("error")
    code = error.get("code") if isinstance(error, dict) else None
    told = f"HTTP {answer.status} {code}"
    if code in _LATER:
        return NotSent(told, answer.retry_after_s, is_throttle=code in _TOO_FAST)
    if code in _ACCOUNT:
        return NotSent(f"{told}: the account, or whom it sends from")
    if code in _WENT_WRONG:
        return Ambiguous(told)
    return refusal(answer, code)
