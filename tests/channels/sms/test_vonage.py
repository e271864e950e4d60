"""Vonage, against a stand-in that checks every field of the Messages API."""

from base64 import b64encode
from collections.abc import AsyncIterator

import pytest

from channels.base import NotSent, Rejected
from channels.sms.vonage import Vonage, VonageAccount
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.provider import Request, Response
from tests.channels.sms.rig import BODY, NUMBER, SENDERS, SmsRig, sms_rig, text


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.headers["authorization"] == "Basic " + b64encode(b"key:secret").decode()
    asked = request.json()
    assert asked == {
        "channel": "sms",
        "message_type": "text",
        "to": NUMBER.removeprefix("+"),
        "from": "15005550006",
        "text": BODY,
        "client_ref": asked["client_ref"],
    }
    assert len(asked["client_ref"]) <= 100
    return Response(202, b'{"message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"}')


def id_of(request: Request) -> str:
    return str(request.json()["client_ref"])


class TestVonage(HttpAdapterContract):
    kinds = (("sms", "vonage"),)
    has_word_for_dead = False
    page = (
        Told(Response(402, b'{"title": "Low balance", "detail": "for +4915112345678"}'), NotSent),
        Told(Response(401, b'{"title": "Unauthorized"}'), NotSent),
        Told(Response(422, b'{"title": "Invalid params"}'), Rejected),
        Told(Response(429, b'{"title": "Rate Limit Hit"}'), NotSent),
    )

    @pytest.fixture
    async def rig(self) -> AsyncIterator[SmsRig]:
        async with sms_rig(lambda url: Vonage(VonageAccount("key", "secret", base_url=url), SENDERS), accepts, id_of) as rig:
            yield rig

    async def test_a_number_in_india_carries_the_ids_of_dlt(self, rig: SmsRig) -> None:
        def to_india(request: Request) -> Response:
            asked = request.json()
            assert (asked["to"], asked["sms"]) == ("919876543210", {"entity_id": "1201", "content_id": "1007"})
            return Response(202, b'{"message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"}')

        rig.provider.accepts = to_india
        await rig.adapter.send(text(address="+919876543210"))
        assert len(rig.provider.requests) == 1
