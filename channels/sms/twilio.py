"""Texts through Twilio's Messages API. Its calls and WhatsApp messages are answered by the same table.

| answer                                                                        | verdict                          |
|-------------------------------------------------------------------------------|----------------------------------|
| 201 with sid                                                                  | sent                             |
| 21211, 21214, 21217, 21614, 63003: no number that can be reached              | Rejected, suppress               |
| 21610: they wrote STOP to Twilio                                              | Rejected, listed                 |
| 10001, 10005, 20005, 21210, 21212, 21606, 21659, 21703, 21704: the account, or who it sends from | NotSent        |
| 63001, 63002, 63007, 63008, 63020: the same of WhatsApp                       | NotSent                          |
| 10004, 63018: too many at once                                                | NotSent, with Retry-After        |
| 20500                                                                         | Ambiguous, whatever its status   |
| all else: 13224 (may be an outage), 21655, 21656 (the content), 63016 (window), 63024 | channels/provider_api.py |

It knows no idempotency key; our id goes out in the address of the status callback.
"""

from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from channels.base import Ambiguous, NotSent, Outgoing, Receipt, at_cost
from channels.provider_api import Answer, ProviderApi, refusal
from channels.sms.text import Senders, text_of
from channels.tariff import NO_LIMIT, TextTariff

DEAD = (21211, 21214, 21217, 21614, 63003)
OPTED_OUT = 21610
ACCOUNT = (10001, 10005, 20005, 21210, 21212, 21606, 21659, 21703, 21704, 63001, 63002, 63007, 63008, 63020)
LATER = (10004, 63018)
INTERNAL = 20500
_LONGEST = 1600
SERVICE = "MG"
_ACCOUNTS_OWN = "AC"


@dataclass(frozen=True)
class TwilioAccount:
    """`key` and `secret` are an API key, or the account's SID and auth token. `callback_url` is where its status callbacks reach us.

    Twilio signs them with the auth token: `webhook_auth_token`, where an API key sends.
    """

    account_sid: str
    key: str
    secret: str
    callback_url: str
    webhook_auth_token: str = ""
    base_url: str = ""

    @property
    def authorization(self) -> str:
        return "Basic " + b64encode(f"{self.key}:{self.secret}".encode()).decode("ascii")

    def callback(self, message_id: str) -> str:
        return f"{self.callback_url}?message={message_id}"


class TwilioSms:
    """A sender that begins with MG is a messaging service."""

    name = "twilio"
    channel = "sms"

    def __init__(self, account: TwilioAccount, senders: Senders, tariff: TextTariff = NO_LIMIT) -> None:
        self._account = account
        self._senders = senders
        self._tariff = tariff
        self._path = f"/2010-04-01/Accounts/{quote(account.account_sid, safe='')}/Messages.json"
        self._api = ProviderApi(account.base_url or "https://api.twilio.com")

    async def send(self, outgoing: Outgoing) -> Receipt:
        text = text_of(outgoing, self._senders, self._tariff, longest=_LONGEST)
        sender = {"MessagingServiceSid" if text.sender.startswith(SERVICE) else "From": text.sender}
        form = {"To": text.recipient, **sender, "Body": text.body, "StatusCallback": self._account.callback(str(outgoing.message_id))}
        with at_cost(text.cost):
            return Receipt(await post_form(self._api, self._path, self._account, form, outgoing), cost=text.cost)

    async def verify(self) -> None:
        """The account; a key (SK...) may not read that, so with one the newest message, which is dropped."""
        headers = {"authorization": self._account.authorization}
        if not self._account.key.startswith(_ACCOUNTS_OWN):
            await self._api.get(f"{self._path}?PageSize=1", headers)
            return
        answer = await self._api.get(self._path.removesuffix("/Messages.json") + ".json", headers)
        if answer.members().get("status") != "active":
            raise NotSent("the account is suspended or closed at Twilio")

    async def close(self) -> None:
        await self._api.close()


async def post_form(api: ProviderApi, path: str, account: TwilioAccount, form: dict[str, str], outgoing: Outgoing) -> str:
    """Post one form to Twilio, whatever the channel, and read its answer by the table above; return the sid."""
    headers = {"authorization": account.authorization, "content-type": "application/x-www-form-urlencoded"}
    answer = await api.post(path, outgoing, content=urlencode(form).encode("ascii"), headers=headers)
    if answer.is_success:
        return answer.reference("sid")
    raise _refused(answer)


def _refused(answer: Answer) -> Exception:
    code = answer.members().get("code")
    if code == INTERNAL:
        return Ambiguous(f"HTTP {answer.status} {code}")
    if code in LATER:
        return NotSent(f"HTTP {answer.status} {code}: too many at once", answer.retry_after_s, is_throttle=True)
    if code in ACCOUNT:
        return NotSent(f"HTTP {answer.status} {code}: the account, or who it sends from", answer.retry_after_s)
    return refusal(answer, code, suppress=code in DEAD, is_listed=code == OPTED_OUT)
