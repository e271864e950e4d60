"""WhatsApp through Twilio, against a stand-in that checks Basic auth and every field of the form."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import pytest

from channels.base import Ambiguous, Cost, NotSent, Rejected
from channels.sms.text import Senders
from channels.sms.twilio import TwilioAccount
from channels.tariff import Tariff
from channels.whatsapp.twilio import TwilioWhatsApp
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.provider import Request, Response
from tests.channels.sms.rig import BODY, NUMBER, SENDERS
from tests.channels.sms.test_twilio import CALLBACK, error, form
from tests.channels.talking import TalkRig, Verified, talk_rig

SID = "HX" + "0a" * 16
APPROVED = {"name": "order_shipped", "language": "en_GB", "content_sid": SID, "body": {"1": "Ann 大小", "2": "A-17"}}


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/2010-04-01/Accounts/AC1/Messages.json")
    assert request.headers["authorization"] == "Basic " + b64encode(b"SK1:secret").decode()
    found = form(request)
    assert (found["To"], found["From"]) == (f"whatsapp:{NUMBER}", "whatsapp:+15005550006")
    assert found["StatusCallback"].startswith(CALLBACK + "?message=")
    if "Body" in found:
        assert set(found) == {"To", "From", "Body", "StatusCallback"}
    else:
        assert set(found) == {"To", "From", "ContentSid", "ContentVariables", "StatusCallback"}
        assert found["ContentSid"] == SID
        assert all(isinstance(value, str) for value in json.loads(found["ContentVariables"]).values())
    return Response(201, b'{"sid": "SM1", "status": "queued"}')


def id_of(request: Request) -> str:
    return dict(parse_qsl(urlsplit(form(request)["StatusCallback"]).query))["message"]


def looks(request: Request) -> None:
    assert (request.method, request.path) == ("GET", "/2010-04-01/Accounts/AC1/Messages.json?PageSize=1")
    assert request.headers["authorization"] == "Basic " + b64encode(b"SK1:secret").decode()


class TestTwilioWhatsApp(Verified, HttpAdapterContract):
    kinds = (("whatsapp", "twilio"),)
    has_word_for_dead = True
    looks = staticmethod(looks)
    page = (
        Told(error(400, 21211), Rejected, suppress=True),
        Told(error(400, 63003), Rejected, suppress=True),  # the number belongs to nobody
        Told(error(400, 63024), Rejected),
        Told(error(400, 63016), Rejected),  # outside the window
        Told(error(400, 21655), Rejected),  # no such content
        Told(error(400, 21656), Rejected),  # variables that are none
        Told(error(400, 63007), NotSent),  # our sender is no channel
        Told(error(400, 63001), NotSent),
        Told(error(429, 63018), NotSent),
        Told(error(400, 63018), NotSent),
        Told(error(403, 20005), NotSent),
        Told(error(500, 20500), Ambiguous),
    )

    @pytest.fixture
    async def rig(self) -> AsyncIterator[TalkRig]:
        def make(url: str) -> TwilioWhatsApp:
            account = TwilioAccount("AC1", "SK1", "secret", CALLBACK, base_url=url)
            return TwilioWhatsApp(account, SENDERS, Tariff({"*": Decimal("0.05")}, "USD"))

        async with talk_rig(make, accepts, id_of, {"template": APPROVED}, {"text": "x" * 1601}) as rig:
            yield rig

    async def test_variables_go_as_json_and_the_template_has_its_price(self, rig: TalkRig) -> None:
        receipt = await rig.adapter.send(rig.message())
        [request] = rig.provider.requests
        assert json.loads(form(request)["ContentVariables"]) == {"1": "Ann 大小", "2": "A-17"}
        assert receipt.cost == Cost(1, Decimal("0.05"), "USD")

    async def test_variables_of_the_content_come_before_those_of_the_body(self, rig: TalkRig) -> None:
        approved = {**APPROVED, "header": {"text": "Hi"}, "content_variables": {"1": "Hi", "2": "Ann"}}
        await rig.adapter.send(rig.message({"template": approved}))
        [request] = rig.provider.requests
        assert json.loads(form(request)["ContentVariables"]) == {"1": "Hi", "2": "Ann"}

    async def test_a_free_text_goes_as_body(self, rig: TalkRig) -> None:
        await rig.adapter.send(rig.message({"text": BODY}))
        [request] = rig.provider.requests
        assert form(request)["Body"] == BODY

    @pytest.mark.parametrize("missing", [{"content_sid": ""}, {"header": {"text": "Hi"}}])
    async def test_what_cannot_be_said_to_twilio_is_not_dropped(self, rig: TalkRig, missing: dict[str, object]) -> None:
        with pytest.raises(Rejected, match="Twilio needs"):
            await rig.adapter.send(rig.message({"template": {**APPROVED, **missing}}))

    async def test_a_messaging_service_is_named_as_such(self, rig: TalkRig) -> None:
        def by_service(request: Request) -> Response:
            assert form(request)["MessagingServiceSid"] == "MG1"
            assert "From" not in form(request)
            return Response(201, b'{"sid": "SM1"}')

        rig.provider.accepts = by_service
        adapter = TwilioWhatsApp(TwilioAccount("AC1", "SK1", "secret", CALLBACK, base_url=rig.provider.base_url), Senders(("MG1",)))
        await adapter.send(rig.message())
        await adapter.close()
