"""Sinch, against a stand-in that checks every field of a batch."""

from collections.abc import AsyncIterator

import pytest

from channels.base import NotSent, Rejected
from channels.sms.sinch import Sinch, SinchAccount
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.provider import Request, Response
from tests.channels.sms.rig import BODY, NUMBER, SENDERS, SmsRig, sms_rig


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/xms/v1/plan/batches")
    assert request.headers["authorization"] == "Bearer token"
    asked = request.json()
    assert set(asked) == {"from", "to", "body", "client_reference", "delivery_report"}
    assert (asked["from"], asked["to"], asked["body"]) == ("+15005550006", [NUMBER], BODY)
    return Response(201, b'{"id": "01FC66621XXXXX119Z8PMV1QPA"}')


def id_of(request: Request) -> str:
    return str(request.json()["client_reference"])


class TestSinch(HttpAdapterContract):
    kinds = (("sms", "sinch"),)
    has_word_for_dead = False
    page = (
        Told(Response(400, b'{"code": "syntax_invalid_parameter_format", "text": "+4915112345678"}'), Rejected),
        Told(Response(403, b'{"code": "unauthorized", "text": "no"}'), NotSent),
        Told(Response(429, b""), NotSent),
    )

    @pytest.fixture
    async def rig(self) -> AsyncIterator[SmsRig]:
        async with sms_rig(lambda url: Sinch(SinchAccount("plan", "token", base_url=url), SENDERS), accepts, id_of) as rig:
            yield rig
