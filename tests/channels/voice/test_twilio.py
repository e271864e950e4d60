"""Calls through Twilio, against a stand-in that checks Basic auth, every field of the form and the TwiML."""

from base64 import b64encode
from collections.abc import AsyncIterator
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree as ET

import pytest

from channels.base import Ambiguous, Cost, NotSent, Rejected
from channels.tariff import Tariff
from channels.voice.twilio import TwilioVoice, TwilioVoiceAccount
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.provider import Request, Response
from tests.channels.sms.rig import BODY, NUMBER, SENDERS
from tests.channels.sms.test_twilio import CALLBACK, error, form
from tests.channels.talking import TalkRig, Verified, talk_rig

SPOKEN = {"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"}


def said(request: Request) -> ET.Element:
    """The one <Say> of the TwiML."""
    root = ET.fromstring(form(request)["Twiml"])  # noqa: S314
    assert root.tag == "Response"
    assert [child.tag for child in root] == ["Say"]
    return root[0]


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/2010-04-01/Accounts/AC1/Calls.json")
    assert request.headers["authorization"] == "Basic " + b64encode(b"SK1:secret").decode()
    found = form(request)
    assert set(found) == {"To", "From", "Twiml", "Timeout", "StatusCallback", "StatusCallbackEvent"}
    assert (found["To"], found["From"], found["StatusCallbackEvent"], found["Timeout"]) == (NUMBER, "+15005550006", "completed", "30")
    assert len(found["Twiml"]) <= 4000
    assert {each.tag for each in said(request).iter()} - {"Say"} <= SPOKEN
    return Response(201, b'{"sid": "CA1", "status": "queued"}')


def id_of(request: Request) -> str:
    return dict(parse_qsl(urlsplit(form(request)["StatusCallback"]).query))["message"]


def looks(request: Request) -> None:
    assert (request.method, request.path) == ("GET", "/2010-04-01/Accounts/AC1/Calls.json?PageSize=1")
    assert request.headers["authorization"] == "Basic " + b64encode(b"SK1:secret").decode()


class TestTwilioVoice(Verified, HttpAdapterContract):
    kinds = (("voice", "twilio"),)
    has_word_for_dead = True
    looks = staticmethod(looks)
    page = (
        Told(error(400, 21211), Rejected, suppress=True),
        Told(error(400, 21214), Rejected, suppress=True),
        Told(error(400, 21217), Rejected, suppress=True),
        Told(error(400, 13224), Rejected),  # may be an outage of carriers
        Told(error(400, 21215), Rejected),  # the country is not allowed in the account
        Told(error(400, 21210), NotSent),  # our number is not verified
        Told(error(400, 21212), NotSent),
        Told(error(400, 10005), NotSent),
        Told(error(429, 10004), NotSent),  # calls at once
        Told(error(429, 20429), NotSent),
        Told(error(500, 20500), Ambiguous),
    )

    @pytest.fixture
    async def rig(self) -> AsyncIterator[TalkRig]:
        def make(url: str) -> TwilioVoice:
            account = TwilioVoiceAccount("AC1", "SK1", "secret", CALLBACK, base_url=url, voice="Joanna", language="en-US")
            return TwilioVoice(account, SENDERS, Tariff({"DE": Decimal("0.04")}, "USD"))

        async with talk_rig(make, accepts, id_of, {"text": BODY}, {"text": "x" * 4000}) as rig:
            yield rig

    async def test_the_accounts_voice_speaks_what_names_no_other(self, rig: TalkRig) -> None:
        receipt = await rig.adapter.send(rig.message())
        say = said(rig.provider.requests[0])
        assert (say.get("voice"), say.get("language"), say.text) == ("Polly.Joanna", "en-US", BODY)
        assert receipt.cost == Cost(1, Decimal("0.04"), "USD")

    @pytest.mark.parametrize(
        ("voice", "expected"), [("Amy", "Polly.Amy"), ("Google.en-GB-Neural2-A", "Google.en-GB-Neural2-A"), ("man", "man")]
    )
    async def test_a_template_names_its_voice(self, rig: TalkRig, voice: str, expected: str) -> None:
        await rig.adapter.send(rig.message({"text": "Hi", "voice": voice, "language": "en-GB"}))
        say = said(rig.provider.requests[0])
        assert (say.get("voice"), say.get("language")) == (expected, "en-GB")

    async def test_ssml_stands_inside_say(self, rig: TalkRig) -> None:
        await rig.adapter.send(rig.message({"ssml": '<speak>Code <say-as interpret-as="digits">4711</say-as></speak>'}))
        say = said(rig.provider.requests[0])
        assert (say.text, say[0].tag, say[0].text) == ("Code ", "say-as", "4711")

    async def test_a_voice_with_a_quote_in_its_name_stays_a_name(self, rig: TalkRig) -> None:
        await rig.adapter.send(rig.message({"text": "Hi", "voice": 'x"><Hangup/>'}))
        assert said(rig.provider.requests[0]).get("voice") == 'Polly.x"><Hangup/>'
