"""SES v2, against a stand-in that asks botocore whether the signature is right and reads the raw mail."""

from base64 import b64decode
from collections.abc import AsyncIterator

import pytest

from channels.base import NotSent, Rejected
from channels.email import ses
from channels.email.ses import Ses, SesAccount
from tests.channels.aws import CREDENTIALS, check_signature
from tests.channels.contract import HttpAdapterContract, Told, later
from tests.channels.email.rig import MailRig, mail_rig, read_mail
from tests.channels.messages import mail
from tests.channels.provider import Accepts, Request, Response, provider


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/v2/email/outbound-emails")
    check_signature(request, "ses")
    asked = request.json()
    assert set(asked) == {"FromEmailAddress", "Destination", "Content", "EmailTags", "ConfigurationSetName"}
    assert asked["FromEmailAddress"] == "hello@acme.example"
    assert asked["Destination"] == {"ToAddresses": ["ann@example.org"]}
    assert asked["ConfigurationSetName"] == "events"
    read_mail(b64decode(asked["Content"]["Raw"]["Data"]))
    return Response(200, b'{"MessageId": "0100018-1"}')


def id_of(request: Request) -> str:
    [tag] = request.json()["EmailTags"]
    assert tag["Name"] == "sojourn_message"
    return str(tag["Value"])


def error(status: int, name: str) -> Response:
    named = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazonaws.sesv2/"}
    return Response(status, b'{"message": "Email address is not verified: ann@example.org"}', named)


class TestSes(HttpAdapterContract):
    kinds = (("email", "ses"),)
    has_word_for_dead = False
    page = (
        Told(error(429, "TooManyRequestsException"), NotSent),
        Told(error(400, "LimitExceededException"), NotSent),
        Told(later(error(400, "ThrottlingException")), NotSent, retry_after_s=7),
        Told(later(error(400, "SendingPausedException")), NotSent, retry_after_s=7),
        Told(error(400, "AccountSuspendedException"), NotSent),
        Told(error(400, "SendingPausedException"), NotSent),
        Told(error(400, "MailFromDomainNotVerifiedException"), NotSent),
        Told(error(400, "MessageRejected"), Rejected),
        Told(error(400, "BadRequestException"), Rejected),
        Told(error(404, "NotFoundException"), Rejected),
        Told(error(403, "SignatureDoesNotMatchException"), NotSent),
        Told(Response(400, b'{"__type": "com.amazonaws.sesv2#SendingPausedException"}'), NotSent),
    )

    @pytest.fixture
    async def rig(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailRig]:
        async with mail_rig(
            ses, lambda url: Ses(SesAccount(**vars(CREDENTIALS), configuration_set="events", base_url=url)), accepts, id_of, monkeypatch
        ) as rig:
            yield rig

    async def test_an_address_that_ses_cannot_write_is_refused_before_it_leaves(self, rig: MailRig) -> None:
        with pytest.raises(Rejected):
            await rig.adapter.send(mail(address="größe@example.org"))
        assert rig.provider.requests == []


def quota(body: bytes) -> Accepts:
    def answer(request: Request) -> Response:
        assert (request.method, request.path) == ("GET", "/v2/email/account")
        check_signature(request, "ses")
        return Response(200, body)

    return answer


@pytest.mark.parametrize(
    ("body", "rate"),
    [
        (b'{"SendingEnabled": true, "SendQuota": {"Max24HourSend": 50000.0, "MaxSendRate": 14.0, "SentLast24Hours": 0.0}}', 14.0),
        (b'{"SendQuota": {"MaxSendRate": 0}}', None),
        (b"{}", None),
    ],
)
async def test_it_says_how_fast_its_account_may_be_used(body: bytes, rate: float | None) -> None:
    async with provider(quota(body)) as far:
        adapter = Ses(SesAccount(**vars(CREDENTIALS), base_url=far.base_url))
        assert await adapter.per_second() == rate
        await adapter.close()
