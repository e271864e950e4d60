"""Calls through AWS End User Messaging voice (`SendVoiceMessage`); channels/sms/aws.py has the table of its answers.

Voices are those of Polly that the API lists. Our id goes out in the Context and comes back in its events.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from channels.base import Outgoing, Receipt, Rejected, at_cost
from channels.provider_api import ProviderApi
from channels.sms.aws import AwsAccount, post_target, target_headers
from channels.sms.text import Senders
from channels.tariff import NO_PRICES, Tariff
from channels.voice.speech import Speech, quoted, speech_of

_LONGEST = {"TEXT": 3000, "SSML": 6000}
VOICES = frozenset(
    {
        *("AMY", "ASTRID", "BIANCA", "BRIAN", "CAMILA", "CARLA", "CARMEN", "CELINE", "CHANTAL", "CONCHITA", "CRISTIANO"),
        *("DORA", "EMMA", "ENRIQUE", "EWA", "FILIZ", "GERAINT", "GIORGIO", "GWYNETH", "HANS", "INES", "IVY"),
        *("JACEK", "JAN", "JOANNA", "JOEY", "JUSTIN", "KARL", "KENDRA", "KIMBERLY", "LEA", "LIV", "LOTTE"),
        *("LUCIA", "LUPE", "MADS", "MAJA", "MARLENE", "MATHIEU", "MATTHEW", "MAXIM", "MIA", "MIGUEL", "MIZUKI"),
        *("NAJA", "NICOLE", "PENELOPE", "RAVEENA", "RICARDO", "RUBEN", "RUSSELL", "SALLI", "SEOYEON", "TAKUMI", "TATYANA"),
        *("VICKI", "VITORIA", "ZEINA", "ZHIYU"),
    }
)


_NO_VOICE = "AWS has no such voice for calls: name one of Polly's standard voices, such as Amy"


def _known(voice: str) -> str:
    if voice and voice.upper() not in VOICES:
        raise PydanticCustomError("no_voice", _NO_VOICE)
    return voice


@dataclass(frozen=True, kw_only=True)
class AwsVoiceAccount(AwsAccount):
    """`voice` of what does not name its own. A call that could not be made for `valid_s` seconds is not made any more."""

    voice: Annotated[str, AfterValidator(_known)] = ""
    valid_s: Annotated[int, Field(ge=5, le=259_200)] = 3600


class AwsVoice:
    name = "aws"
    channel = "voice"

    def __init__(self, account: AwsVoiceAccount, senders: Senders, tariff: Tariff = NO_PRICES) -> None:
        self._account = account
        self._senders = senders
        self._tariff = tariff
        self._api = ProviderApi(account.url)

    async def send(self, outgoing: Outgoing) -> Receipt:
        number, country = self._senders.recipient(outgoing.address)
        speech = speech_of(outgoing.content.parts)
        optional = {"VoiceId": _voice(speech.voice or self._account.voice), "ConfigurationSetName": self._account.configuration_set}
        asked: dict[str, object] = {
            "DestinationPhoneNumber": number,
            "OriginationIdentity": self._senders.sender(country, number),
            **_body(speech),
            "TimeToLive": self._account.valid_s,
            "Context": {"sojourn_message": str(outgoing.message_id)},
            **{name: value for name, value in optional.items() if value},
        }
        cost = self._tariff.cost(country)
        with at_cost(cost):
            return Receipt(await post_target(self._api, "SendVoiceMessage", self._account, asked, outgoing), cost=cost)

    async def verify(self) -> None:
        """DescribeAccountAttributes: whether the credentials hold."""
        await self._api.ask("/", b"{}", target_headers(self._api, "DescribeAccountAttributes", self._account, b"{}"))

    async def close(self) -> None:
        await self._api.close()


def _body(speech: Speech) -> dict[str, str]:
    """A language is said in SSML, because the call has no field for it: where the voice is of another language, it reads by that one."""
    kind = "TEXT" if speech.plain is not None and not speech.language else "SSML"
    body = speech.plain if kind == "TEXT" and speech.plain is not None else _with_language(speech)
    if len(body) > _LONGEST[kind]:
        raise Rejected(f"what is said must have at most {_LONGEST[kind]} characters, tags among them")
    return {"MessageBody": body, "MessageBodyTextType": kind}


def _with_language(speech: Speech) -> str:
    return f"<speak><lang xml:lang={quoted(speech.language)}>{speech.marked}</lang></speak>" if speech.language else speech.ssml


def _voice(name: str) -> str:
    if name and name.upper() not in VOICES:
        raise Rejected(_NO_VOICE)
    return name.upper()
