"""AWS End User Messaging SMS, against a stand-in that asks botocore whether the signature is right."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from channels.base import Ambiguous, NotSent, Rejected
from channels.render import Renderer
from channels.sms.aws import AwsAccount, AwsSms
from tests.channels.aws import CREDENTIALS, check_signature
from tests.channels.contract import HttpAdapterContract, Told, later
from tests.channels.provider import Request, Response
from tests.channels.sms.rig import BODY, NUMBER, SENDERS, SmsRig, sms_rig, text


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/")
    assert request.headers["content-type"] == "application/x-amz-json-1.0"
    assert request.headers["x-amz-target"] == "PinpointSMSVoiceV2.SendTextMessage"
    check_signature(request, "sms-voice")
    asked = request.json()
    assert set(asked) == {"DestinationPhoneNumber", "OriginationIdentity", "MessageBody", "MessageType", "Context", "ConfigurationSetName"}
    assert (asked["DestinationPhoneNumber"], asked["OriginationIdentity"], asked["MessageBody"]) == (NUMBER, "+15005550006", BODY)
    assert asked["MessageType"] == "PROMOTIONAL"
    return Response(200, b'{"MessageId": "m-1"}')


def id_of(request: Request) -> str:
    return str(request.json()["Context"]["sojourn_message"])


def error(status: int, name: str, reason: str = "") -> Response:
    told = {"__type": f"com.amazonaws.pinpointsmsvoicev2#{name}", "Message": "+4915112345678"} | ({"Reason": reason} if reason else {})
    return Response(status, orjson.dumps(told))


class TestAws(HttpAdapterContract):
    kinds = (("sms", "aws"),)
    has_word_for_dead = True
    page = (
        Told(error(400, "ThrottlingException"), NotSent),
        Told(error(400, "ServiceQuotaExceededException"), NotSent),
        Told(later(error(400, "ServiceQuotaExceededException")), NotSent, retry_after_s=7),
        Told(error(400, "ConflictException"), NotSent),
        Told(error(400, "ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT"), Rejected, suppress=True, is_listed=True),
        Told(error(400, "ConflictException", "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE"), Rejected),
        Told(error(400, "ConflictException", "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION"), Rejected),
        Told(error(400, "ConflictException", "NO_ORIGINATION_IDENTITIES_FOUND"), NotSent),
        Told(error(400, "AccessDeniedException"), NotSent),
        Told(error(400, "ResourceNotFoundException"), NotSent),
        Told(error(400, "ValidationException"), Rejected),
        Told(error(500, "InternalServerException"), Ambiguous),
    )

    @pytest.fixture
    async def rig(self) -> AsyncIterator[SmsRig]:
        async with sms_rig(
            lambda url: AwsSms(AwsAccount(**vars(CREDENTIALS), configuration_set="events", base_url=url), SENDERS), accepts, id_of
        ) as rig:
            yield rig

    async def test_a_number_in_india_carries_the_ids_of_dlt(self, rig: SmsRig) -> None:
        def to_india(request: Request) -> Response:
            assert request.json()["DestinationCountryParameters"] == {"IN_ENTITY_ID": "1201", "IN_TEMPLATE_ID": "1007"}
            return Response(200, b'{"MessageId": "m-1"}')

        rig.provider.accepts = to_india
        await rig.adapter.send(text(address="+919876543210"))
        files = {"sms.txt": "Hello {{ user.name | default('you') }}", "template.toml": 'dlt_template_id = "1007"'}
        await rig.adapter.send(text(await rendered(files), address="+919876543210"))
        assert len(rig.provider.requests) == 2


async def rendered(files: dict[str, str]) -> dict[str, Any]:
    renderer = Renderer(children=1, wall_s=10)
    try:
        return dict((await renderer.render("welcome", 1, files, "sms", {})).parts)
    finally:
        await renderer.close()
