"""Twilio's texts, against a stand-in that checks Basic auth and every field of the form."""

from base64 import b64encode
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from channels.base import Ambiguous, NotSent, Rejected
from channels.sms.text import Senders
from channels.sms.twilio import ACCOUNT, DEAD, INTERNAL, LATER, OPTED_OUT, TwilioAccount, TwilioSms
from tests.channels.contract import HttpAdapterContract, Told, later
from tests.channels.provider import Request, Response
from tests.channels.sms.rig import BODY, NUMBER, SENDERS, SmsRig, sms_rig, text

CALLBACK = "https://sojourn.example/v1/webhooks/twilio"


def form(request: Request) -> dict[str, str]:
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(request.body.decode("ascii"), strict_parsing=True))


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/2010-04-01/Accounts/AC1/Messages.json")
    assert request.headers["authorization"] == "Basic " + b64encode(b"SK1:secret").decode()
    found = form(request)
    assert set(found) == {"To", "From", "Body", "StatusCallback"}
    assert (found["To"], found["From"], found["Body"]) == (NUMBER, "+15005550006", BODY)
    assert found["StatusCallback"].startswith(CALLBACK + "?message=")
    return Response(201, b'{"sid": "SM1", "status": "queued", "error_code": null}')


def id_of(request: Request) -> str:
    return dict(parse_qsl(urlsplit(form(request)["StatusCallback"]).query))["message"]


def account(url: str) -> TwilioAccount:
    return TwilioAccount("AC1", "SK1", "secret", CALLBACK, base_url=url)


def error(status: int, code: int) -> Response:
    return Response(status, b'{"code": %d, "message": "The \'To\' number +4915112345678 is bad", "status": %d}' % (code, status))


class TestTwilio(HttpAdapterContract):
    kinds = (("sms", "twilio"),)
    has_word_for_dead = True
    page = (
        Told(error(400, 21211), Rejected, suppress=True),
        Told(error(400, 21610), Rejected, suppress=True, is_listed=True),
        Told(error(400, 21614), Rejected, suppress=True),
        Told(error(400, 21214), Rejected, suppress=True),
        Told(error(400, 21217), Rejected, suppress=True),
        Told(error(400, 63003), Rejected, suppress=True),
        Told(error(400, 21408), Rejected),
        Told(error(400, 10001), NotSent),  # the account is not active
        Told(error(400, 10005), NotSent),
        Told(error(403, 20005), NotSent),
        Told(error(400, 21210), NotSent),  # our number is not verified
        Told(error(400, 21212), NotSent),  # our number is none
        Told(error(400, 21606), NotSent),
        Told(error(400, 21659), NotSent),  # it is not a number of Twilio's
        Told(error(400, 21703), NotSent),  # the messaging service has no number
        Told(error(400, 21704), NotSent),
        Told(error(400, 63001), NotSent),
        Told(error(400, 63002), NotSent),
        Told(error(400, 63007), NotSent),
        Told(error(400, 63008), NotSent),
        Told(error(400, 63020), NotSent),
        Told(error(429, 10004), NotSent),
        Told(error(429, 63018), NotSent),
        Told(later(error(400, 63018)), NotSent, retry_after_s=7),
        Told(error(429, 20429), NotSent),
        Told(error(500, 20500), Ambiguous),
        Told(error(503, 20500), Ambiguous),
    )

    @pytest.fixture
    async def rig(self) -> AsyncIterator[SmsRig]:
        async with sms_rig(lambda url: TwilioSms(account(url), SENDERS), accepts, id_of) as rig:
            yield rig

    def test_no_code_of_the_adapters_table_is_untested(self) -> None:
        codes = {orjson.loads(told.answer.body)["code"] for told in self.page}
        assert {*DEAD, *ACCOUNT, *LATER, OPTED_OUT, INTERNAL} <= codes

    async def test_a_messaging_service_is_named_as_such(self, rig: SmsRig) -> None:
        def by_service(request: Request) -> Response:
            assert form(request)["MessagingServiceSid"] == "MG1"
            assert "From" not in form(request)
            return Response(201, b'{"sid": "SM1"}')

        rig.provider.accepts = by_service
        adapter = TwilioSms(account(rig.provider.base_url), Senders(("MG1",)))
        await adapter.send(text())
        await adapter.close()
