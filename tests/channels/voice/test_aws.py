"""Calls through AWS, against a stand-in that asks botocore about the signature and about every field of the request."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from channels.base import Ambiguous, Cost, NotSent, Rejected
from channels.tariff import Tariff
from channels.voice.aws import VOICES, AwsVoice, AwsVoiceAccount
from tests.channels.aws import CREDENTIALS, check_signature
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.provider import Request, Response
from tests.channels.sms.rig import BODY, NUMBER, SENDERS
from tests.channels.sms.test_aws import error, id_of
from tests.channels.talking import TalkRig, Verified, talk_rig

MODEL = ServiceModel(Loader().load_service_model("pinpoint-sms-voice-v2", "service-2")).operation_model("SendVoiceMessage").input_shape
SHAPES = MODEL.members


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/")
    assert request.headers["content-type"] == "application/x-amz-json-1.0"
    assert request.headers["x-amz-target"] == "PinpointSMSVoiceV2.SendVoiceMessage"
    check_signature(request, "sms-voice")
    asked = request.json()
    assert ParamValidator().validate(asked, MODEL).generate_report() == ""
    assert asked["MessageBodyTextType"] in SHAPES["MessageBodyTextType"].enum
    assert asked.get("VoiceId", "AMY") in SHAPES["VoiceId"].enum
    assert len(asked["MessageBody"]) <= {"TEXT": 3000, "SSML": 6000}[asked["MessageBodyTextType"]]
    assert (asked["DestinationPhoneNumber"], asked["OriginationIdentity"], asked["TimeToLive"]) == (NUMBER, "+15005550006", 3600)
    return Response(200, b'{"MessageId": "v-1"}')


def looks(request: Request) -> None:
    assert (request.method, request.body) == ("POST", b"{}")
    assert request.headers["x-amz-target"] == "PinpointSMSVoiceV2.DescribeAccountAttributes"
    check_signature(request, "sms-voice")


class TestAwsVoice(Verified, HttpAdapterContract):
    kinds = (("voice", "aws"),)
    has_word_for_dead = True
    looks = staticmethod(looks)
    page = (
        Told(error(400, "ThrottlingException"), NotSent),
        Told(error(400, "ServiceQuotaExceededException"), NotSent),
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
    async def rig(self) -> AsyncIterator[TalkRig]:
        def make(url: str) -> AwsVoice:
            account = AwsVoiceAccount(**vars(CREDENTIALS), base_url=url, configuration_set="events", voice="Amy")
            return AwsVoice(account, SENDERS, Tariff({"DE": Decimal("0.02")}, "USD"))

        async with talk_rig(make, accepts, id_of, {"text": BODY}, {"text": "x" * 3001}) as rig:
            yield rig

    async def test_plain_text_goes_as_text_with_the_accounts_voice(self, rig: TalkRig) -> None:
        receipt = await rig.adapter.send(rig.message())
        asked = rig.provider.requests[0].json()
        assert (asked["MessageBodyTextType"], asked["MessageBody"], asked["VoiceId"]) == ("TEXT", BODY, "AMY")
        assert asked["ConfigurationSetName"] == "events"
        assert receipt.cost == Cost(1, Decimal("0.02"), "USD")

    async def test_a_language_is_said_in_ssml(self, rig: TalkRig) -> None:
        await rig.adapter.send(rig.message({"text": "Tom & Ann", "language": "de-DE", "voice": "Vicki"}))
        asked = rig.provider.requests[0].json()
        assert (asked["MessageBodyTextType"], asked["VoiceId"]) == ("SSML", "VICKI")
        assert asked["MessageBody"] == '<speak><lang xml:lang="de-DE">Tom &amp; Ann</lang></speak>'

    async def test_ssml_goes_as_ssml(self, rig: TalkRig) -> None:
        await rig.adapter.send(rig.message({"ssml": "<speak>A<break/>B</speak>"}))
        asked = rig.provider.requests[0].json()
        assert (asked["MessageBodyTextType"], asked["MessageBody"]) == ("SSML", "<speak>A<break/>B</speak>")

    async def test_a_voice_that_aws_lacks_is_not_dropped(self, rig: TalkRig) -> None:
        with pytest.raises(Rejected, match="no such voice"):
            await rig.adapter.send(rig.message({"text": "Hi", "voice": "Google.en-GB-Wavenet-A"}))


def test_our_voices_are_those_of_the_api() -> None:
    assert set(SHAPES["VoiceId"].enum) == VOICES
