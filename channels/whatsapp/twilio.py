"""WhatsApp through Twilio's Messages API; channels/sms/twilio.py has the table of its answers.

An approved template goes by the sid of its content at Twilio, with its variables as JSON; a sender that begins with MG is a messaging
service. Our id goes out in the address of the status callback.
"""

from urllib.parse import quote

import orjson

from channels.base import Outgoing, Receipt, Rejected, at_cost
from channels.provider_api import ProviderApi
from channels.sms.text import Senders
from channels.sms.twilio import SERVICE, TwilioAccount, post_form
from channels.tariff import NO_PRICES, Tariff
from channels.whatsapp.letter import Approved, letter_of
from channels.whatsapp.meta import cost_of

_LONGEST = 1600


class TwilioWhatsApp:
    name = "twilio"
    channel = "whatsapp"

    def __init__(self, account: TwilioAccount, senders: Senders, tariff: Tariff = NO_PRICES) -> None:
        self._account = account
        self._senders = senders
        self._tariff = tariff
        self._path = f"/2010-04-01/Accounts/{quote(account.account_sid, safe='')}/Messages.json"
        self._api = ProviderApi(account.base_url or "https://api.twilio.com")

    async def send(self, outgoing: Outgoing) -> Receipt:
        number, country = self._senders.recipient(outgoing.address)
        letter = letter_of(outgoing, longest=_LONGEST)
        form = {
            "To": f"whatsapp:{number}",
            **_from(self._senders.sender(country, number)),
            **_content(letter),
            "StatusCallback": self._account.callback(str(outgoing.message_id)),
        }
        cost = cost_of(letter, country, self._tariff)
        with at_cost(cost):
            return Receipt(await post_form(self._api, self._path, self._account, form, outgoing), cost=cost)

    async def verify(self) -> None:
        """The newest message, which is dropped: a key may not read the account itself."""
        await self._api.get(f"{self._path}?PageSize=1", {"authorization": self._account.authorization})

    async def close(self) -> None:
        await self._api.close()


def _from(sender: str) -> dict[str, str]:
    if sender.startswith(SERVICE):
        return {"MessagingServiceSid": sender}
    return {"From": sender if sender.startswith("whatsapp:") else f"whatsapp:{sender}"}


def _content(letter: str | Approved) -> dict[str, str]:
    if isinstance(letter, str):
        return {"Body": letter}
    if not letter.content_sid:
        raise Rejected("Twilio needs the template's content_sid")
    if (letter.header or letter.buttons) and not letter.content_variables:
        raise Rejected("Twilio needs every variable of header, body and buttons as content_variables")
    variables = letter.content_variables or letter.body
    return {"ContentSid": letter.content_sid, **({"ContentVariables": orjson.dumps(variables).decode()} if variables else {})}
