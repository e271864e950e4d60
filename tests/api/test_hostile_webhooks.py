"""What comes to the door of providers and is not what they send: huge bodies, wrong types, strangers' mails; and SNS over TLS."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from channels.egress import Egress
from channels.fetching import Fetching
from tests.api.callbacks import PUBLIC, Callbacks
from tests.api.test_replies import ses_mail
from tests.api.test_webhooks import SENDGRID, SES, told
from tests.channels.callers import BY_NAME, CERTIFICATE_URL, EVERY, FORM, Sent, envelope, sns_certificate, sns_headers
from tests.channels.certificates import make_certificate
from tests.channels.provider import Request, Response, provider

HOST = "sns.eu-west-1.amazonaws.com"
TYPES = ("", "text/plain", "application/json", FORM, "multipart/form-data", "multipart/form-data; boundary=b", "application/octet-stream")
LARGE = 10_000_001


class Unread:
    """A body that tells whether anybody listened."""

    def __init__(self) -> None:
        self.was_read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.was_read = True
        yield b"x"


async def test_who_does_not_know_the_address_is_not_listened_to(client: httpx.AsyncClient) -> None:
    for key in ("0" * 32, "%00", "0%00", "%ED%A0%80", "%FF", "0" * 64):
        body = Unread()
        answer = await client.post(f"/v1/webhooks/ses/{key}", content=body)
        assert (answer.status_code, body.was_read) == (401, False), key


async def pieces() -> AsyncIterator[bytes]:
    """A body that does not say how long it is."""
    for _ in range(11):
        yield b" " * 1_000_000


async def test_a_body_of_more_than_ten_megabytes_is_refused_however_it_comes(world: Callbacks) -> None:
    for caller in EVERY:
        url = await world.account(caller)
        assert (await world.post(url, Sent(b" " * LARGE, {"content-type": caller.content_type}))).status_code == 413
    assert (await world.client.post(url.removeprefix(PUBLIC), content=pieces())).status_code == 413
    assert await world.run("SELECT 1 FROM provider_events") == []


async def test_a_call_of_another_type_than_its_providers_is_read_or_refused_and_is_no_error(world: Callbacks) -> None:
    for caller in EVERY:
        url = await world.account(caller)
        number = await world.message("ann", caller.channel, caller.provider)
        for type_ in TYPES:
            [sent] = caller.calls(url, [told("delivered", number, caller)])
            answer = await world.post(url, replace(sent, headers={**sent.headers, "content-type": type_}))
            assert answer.status_code in {200, 400, 401}, (caller.provider, type_)
    assert await world.events("message_replied") == []


async def test_forms_made_to_break_their_reader_prove_nothing(world: Callbacks) -> None:
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3_000))
    nested = Sent(b"--b\r\n" + parts, {"content-type": "multipart/form-data; boundary=b"})
    many = Sent(b"a&" * 1_000_000, {"content-type": FORM})
    for account in (("email", "mailgun"), ("sms", "twilio")):
        url = await world.account(BY_NAME[account])
        assert [(await world.post(url, sent)).status_code for sent in (nested, many)] == [401, 401]


async def test_an_event_that_is_nested_too_deeply_is_heard_without_its_raw_text(world: Callbacks) -> None:
    url = await world.account(SENDGRID)
    number = await world.message("ann", "email", "sendgrid")
    [sent] = SENDGRID.calls(url, [told("delivered", number, SENDGRID)])
    body = sent.body.replace(b'"event"', b'"more": ' + b"[" * 1_000 + b"]" * 1_000 + b', "event"')
    assert (await world.post(url, SENDGRID.signed(url, body, datetime.now(UTC)))).status_code == 200
    assert (await world.row(number)).delivered_at is not None


@pytest.mark.parametrize(
    "broken",
    [
        b"Content-Type: text/plain; name*\r\n\r\nhello",
        b"Content-Type: message/rfc822\r\n\r\n" * 3_000 + b"\r\nhello",
        b"\r\n\x00\xff\xed\xa0\x80",
    ],
)
async def test_a_strangers_broken_mail_is_no_error_that_sns_would_repeat(world: Callbacks, broken: bytes) -> None:
    url = await world.account(SES)
    await world.message("ann", "email", "ses")
    assert (await world.post(url, ses_mail(b"From: ann@example.com\r\n" + broken))).status_code == 200
    assert len(await world.events("message_replied")) == 1


# SNS over a connection ---------------------------------------------------------------------------------------------------------------


class OnLoopback(httpx.AsyncHTTPTransport):
    """Connects to another port than 443 of the judged address; host, name for TLS and trust stay as they are."""

    port = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(port=self.port)
        return await super().handle_async_request(request)


async def loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def confirmation(id_: str = "c-1", **changes: str) -> Sent:
    kind = "SubscriptionConfirmation"
    where = {"SubscribeURL": f"https://{HOST}/?Action=ConfirmSubscription&TopicArn=x&Token=t%2F1", "Token": "t/1", **changes}
    made = envelope("You have chosen to subscribe", datetime.now(UTC), id_=id_, kind=kind, **where)
    return Sent(json.dumps(made).encode(), sns_headers(kind))


class Sns:
    """SNS as it answers over TLS: its certificate, or `page` in its place, and the confirmation of a subscription with `status`."""

    def __init__(self) -> None:
        self.page = sns_certificate()
        self.status = 200

    def __call__(self, request: Request) -> Response:
        assert (request.method, request.headers["host"], request.body) == ("GET", HOST, b"")
        if request.path == CERTIFICATE_URL.removeprefix(f"https://{HOST}"):
            return Response(body=self.page)
        assert request.path == "/?Action=ConfirmSubscription&TopicArn=x&Token=t%2F1"
        return Response(self.status, b"<ConfirmSubscriptionResponse/>")


async def test_a_subscription_is_confirmed_over_tls_with_the_certificate_that_sns_serves(
    world: Callbacks, app: FastAPI, tmp_path: Path
) -> None:
    certificate, sns = make_certificate(tmp_path, HOST), Sns()
    transport = OnLoopback(verify=certificate.client())
    await app.state.fetching.close()
    app.state.fetching = Fetching(Egress(may_reach_loopback=True, resolve=loopback), transport)
    url = await world.account(SES)
    async with provider(sns, tls=certificate.server()) as fake:
        transport.port = fake.port
        # A page in between that is no certificate is not taken for one, neither now nor later.
        sns.page = b"<html>log in first</html>"
        assert (await world.post(url, confirmation())).status_code == 503
        sns.page = sns_certificate()
        sns.status = 500
        assert (await world.post(url, confirmation())).status_code == 503
        sns.status = 200
        assert [(await world.post(url, confirmation())).status_code for _ in range(2)] == [200, 200]
        of_other_topic = confirmation(TopicArn="arn:aws:sns:eu-west-1:123456789012:another")
        assert (await world.post(url, of_other_topic)).status_code == 401
        elsewhere = confirmation(SubscribeURL="https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription")
        assert (await world.post(url, elsewhere)).status_code == 401
        kinds = ["certificate" if "pem" in request.path else "confirm" for request in fake.requests]
        assert kinds == ["certificate", "certificate", "confirm", "confirm", "confirm"]
        number = await world.message("ann", "email", "ses")
        assert [answer.status_code for answer in await world.tell(SES, told("delivered", number, SES, id_=uuid4().hex))] == [200]
    assert (await world.row(number)).delivered_at is not None


async def test_a_server_that_is_not_sns_by_its_tls_name_confirms_nothing(world: Callbacks, app: FastAPI, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "sns.example")
    transport = OnLoopback(verify=certificate.client())
    await app.state.fetching.close()
    app.state.fetching = Fetching(Egress(may_reach_loopback=True, resolve=loopback), transport)
    app.state.fetching.remember(CERTIFICATE_URL, sns_certificate())
    url = await world.account(SES)
    async with provider(Sns(), tls=certificate.server()) as fake:
        transport.port = fake.port
        assert (await world.post(url, confirmation())).status_code == 503
    assert fake.requests == []
