"""Calls through Twilio's Calls API: what is said goes along as TwiML. channels/sms/twilio.py has the table of its answers.

Voices are Polly's by their bare names (Amy), or any of Twilio's by its whole name (Google.en-GB-Wavenet-A). Our id goes out in the
address of the status callback.
"""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from channels.base import Outgoing, Receipt, Rejected, at_cost
from channels.provider_api import ProviderApi
from channels.sms.text import Senders
from channels.sms.twilio import TwilioAccount, post_form
from channels.tariff import NO_PRICES, Tariff
from channels.voice.speech import Speech, quoted, speech_of

_LONGEST = 4000
_OWN = ("man", "woman", "alice")


@dataclass(frozen=True, kw_only=True)
class TwilioVoiceAccount(TwilioAccount):
    """`voice` and `language` of what does not name its own. It rings for `ring_s` seconds."""

    voice: str = ""
    language: str = ""
    ring_s: Annotated[int, Field(ge=1, le=600)] = 30


class TwilioVoice:
    name = "twilio"
    channel = "voice"

    def __init__(self, account: TwilioVoiceAccount, senders: Senders, tariff: Tariff = NO_PRICES) -> None:
        self._account = account
        self._senders = senders
        self._tariff = tariff
        self._path = f"/2010-04-01/Accounts/{quote(account.account_sid, safe='')}/Calls.json"
        self._api = ProviderApi(account.base_url or "https://api.twilio.com")

    async def send(self, outgoing: Outgoing) -> Receipt:
        number, country = self._senders.recipient(outgoing.address)
        form = {
            "To": number,
            "From": self._senders.sender(country, number),
            "Twiml": self._twiml(speech_of(outgoing.content.parts)),
            "Timeout": str(self._account.ring_s),
            "StatusCallback": self._account.callback(str(outgoing.message_id)),
            "StatusCallbackEvent": "completed",
        }
        cost = self._tariff.cost(country)
        with at_cost(cost):
            return Receipt(await post_form(self._api, self._path, self._account, form, outgoing), cost=cost)

    async def verify(self) -> None:
        """The newest call, which is dropped: a key may not read the account itself."""
        await self._api.get(f"{self._path}?PageSize=1", {"authorization": self._account.authorization})

    async def close(self) -> None:
        await self._api.close()

    def _twiml(self, speech: Speech) -> str:
        voice, language = speech.voice or self._account.voice, speech.language or self._account.language
        named = {"voice": voice if not voice or "." in voice or voice in _OWN else f"Polly.{voice}", "language": language}
        attributes = "".join(f" {name}={quoted(value)}" for name, value in named.items() if value)
        twiml = f"<Response><Say{attributes}>{speech.marked}</Say></Response>"
        if len(twiml) > _LONGEST:
            raise Rejected(f"what is said must have at most {_LONGEST} characters, tags among them")
        return twiml
