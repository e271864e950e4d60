"""Whether an account works: each provider is asked by a call that sends nothing, and what it answers is told without a secret."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from channels.base import Adapter, NotSent, NotVerifiable, Rejected, SendFailed
from channels.email.connection import SmtpServer
from channels.email.mailgun import Mailgun, MailgunAccount
from channels.email.postmark import Postmark, PostmarkAccount
from channels.email.resend import Resend, ResendAccount
from channels.email.sendgrid import Sendgrid, SendgridAccount
from channels.email.ses import Ses, SesAccount
from channels.email.smtp import Smtp
from channels.sms.aws import AwsAccount, AwsSms
from channels.sms.sinch import Sinch, SinchAccount
from channels.sms.text import Senders
from channels.sms.twilio import TwilioAccount, TwilioSms
from channels.sms.vonage import Vonage, VonageAccount
from channels.webhook.http import Http
from tests.channels.aws import CREDENTIALS, check_signature
from tests.channels.provider import Request, Response, provider

SENDERS = Senders(default=("+15005550006",))


@dataclass(frozen=True)
class Case:
    """How an adapter is made for a base URL, what it must ask, a good answer, and one that says no although it is a 200."""

    make: Callable[[str], Adapter]
    method: str
    path: str
    header: tuple[str, str]
    good: bytes
    bad: bytes | None = None


def basic(user: str, password: str) -> tuple[str, str]:
    return "authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode()


CASES = {
    "ses": Case(
        lambda url: Ses(SesAccount(**vars(CREDENTIALS), base_url=url)),
        "GET",
        "/v2/email/account",
        ("x-amz-security-token", CREDENTIALS.session_token),
        b'{"SendingEnabled": true, "SendQuota": {"MaxSendRate": 14.0}}',
        b'{"SendingEnabled": false}',
    ),
    "sendgrid": Case(
        lambda url: Sendgrid(SendgridAccount("SG.hush", base_url=url)),
        "GET",
        "/v3/scopes",
        ("authorization", "Bearer SG.hush"),
        b'{"scopes": ["mail.send", "alerts.read"]}',
        b'{"scopes": ["alerts.read"]}',
    ),
    "postmark": Case(
        lambda url: Postmark(PostmarkAccount("hush", base_url=url)),
        "GET",
        "/server",
        ("x-postmark-server-token", "hush"),
        b'{"ID": 1, "DeliveryType": "Live"}',
        b'{"ID": 1, "DeliveryType": "Sandbox"}',
    ),
    "mailgun": Case(
        lambda url: Mailgun(MailgunAccount("hush", "mg.acme.example", base_url=url)),
        "GET",
        "/v4/domains/mg.acme.example",
        basic("api", "hush"),
        b'{"domain": {"name": "mg.acme.example", "state": "active"}}',
        b'{"domain": {"name": "mg.acme.example", "state": "unverified"}}',
    ),
    "resend": Case(
        lambda url: Resend(ResendAccount("re_hush", base_url=url)), "GET", "/domains", ("authorization", "Bearer re_hush"), b'{"data": []}'
    ),
    "twilio, its own token": Case(
        lambda url: TwilioSms(TwilioAccount("AC1", "AC1", "hush", "https://s.example", base_url=url), SENDERS),
        "GET",
        "/2010-04-01/Accounts/AC1.json",
        basic("AC1", "hush"),
        b'{"status": "active"}',
        b'{"status": "suspended"}',
    ),
    "twilio, a key": Case(
        lambda url: TwilioSms(TwilioAccount("AC1", "SK1", "hush", "https://s.example", base_url=url), SENDERS),
        "GET",
        "/2010-04-01/Accounts/AC1/Messages.json?PageSize=1",
        basic("SK1", "hush"),
        b'{"messages": []}',
    ),
    "aws": Case(
        lambda url: AwsSms(AwsAccount(**vars(CREDENTIALS), base_url=url), SENDERS),
        "POST",
        "/",
        ("x-amz-target", "PinpointSMSVoiceV2.DescribeAccountAttributes"),
        b'{"AccountAttributes": [{"Name": "ACCOUNT_TIER", "Value": "PRODUCTION"}]}',
    ),
    "vonage": Case(
        lambda url: Vonage(VonageAccount("key", "hush", base_url=url), SENDERS),
        "GET",
        "/account/get-balance",
        basic("key", "hush"),
        b'{"value": 10.28, "autoReload": false}',
        b"<html></html>",
    ),
    "sinch": Case(
        lambda url: Sinch(SinchAccount("plan", "hush", base_url=url), SENDERS),
        "GET",
        "/xms/v1/plan/groups?page_size=1",
        ("authorization", "Bearer hush"),
        b'{"count": 0, "groups": []}',
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_provider_is_asked_by_one_harmless_call(case: Case) -> None:
    def accepts(request: Request) -> Response:
        assert (request.method, request.path) == (case.method, case.path)
        assert request.headers[case.header[0]] == case.header[1]
        if "x-amz-date" in request.headers:
            check_signature(request, "ses" if case.method == "GET" else "sms-voice")
        return Response(200, case.good)

    async with provider(accepts) as fake:
        adapter = case.make(fake.base_url)
        await adapter.verify()
        assert len(fake.requests) == 1
        await adapter.close()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_an_account_that_the_provider_refuses_is_refused_and_its_secret_not_told(case: Case) -> None:
    answers = [Response(401, b'{"message": "bad key hush"}'), Response(403, b"hush"), Response(404, b"hush")]
    if case.bad is not None:
        answers.append(Response(200, case.bad))
    async with provider(lambda _request: Response(200)) as fake:
        adapter = case.make(fake.base_url)
        for answer in answers:
            fake.answer = answer
            with pytest.raises(SendFailed) as failed:
                await adapter.verify()
            assert "hush" not in failed.value.answer
        await adapter.close()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_provider_that_is_away_is_an_answer_too(case: Case) -> None:
    adapter = case.make("http://127.0.0.1:1")
    with pytest.raises(NotSent):
        await adapter.verify()
    await adapter.close()


async def test_a_resend_key_that_may_only_send_is_a_good_one() -> None:
    restricted = Response(401, b'{"statusCode": 401, "name": "restricted_api_key", "message": "only send"}')
    async with provider(lambda _request: restricted) as fake:
        adapter = Resend(ResendAccount("re_x", base_url=fake.base_url))
        await adapter.verify()
        fake.answer = Response(403, b'{"name": "invalid_api_key"}')
        with pytest.raises(NotSent):
            await adapter.verify()
        await adapter.close()


async def test_a_sendgrid_key_without_the_scope_is_refused_for_good() -> None:
    async with provider(lambda _request: Response(200, b'{"scopes": []}')) as fake:
        adapter = Sendgrid(SendgridAccount("SG", base_url=fake.base_url))
        with pytest.raises(Rejected, match=r"mail\.send"):
            await adapter.verify()
        await adapter.close()


async def test_a_mail_server_that_is_away_is_told_and_a_webhook_has_nobody_to_ask() -> None:
    with pytest.raises(NotSent):
        await Smtp(SmtpServer("127.0.0.1", 1, tls="none")).verify()
    with pytest.raises(NotVerifiable):
        await Http(("whsec_" + "YWJj" * 10,), may_reach_loopback=True).verify()
