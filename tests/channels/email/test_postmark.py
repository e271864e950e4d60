"""Postmark, against a stand-in that checks every field of its email API."""

from collections.abc import AsyncIterator

import pytest

from channels.base import Ambiguous, NotSent, Rejected
from channels.email import postmark
from channels.email.postmark import Postmark, PostmarkAccount
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.email.rig import HELP, NON_ASCII, SENDER, MailRig, check_extra, check_mailbox, mail_rig
from tests.channels.messages import mail
from tests.channels.provider import Request, Response


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/email")
    assert request.headers["x-postmark-server-token"] == "token"
    assert (request.headers["accept"], request.headers["content-type"]) == ("application/json", "application/json")
    asked = request.json()
    assert set(asked) == {"From", "To", "ReplyTo", "Subject", "TextBody", "HtmlBody", "Headers", "Metadata", "MessageStream"}
    check_mailbox(asked["From"], SENDER, "hello@acme.example")
    check_mailbox(asked["ReplyTo"], HELP, "help@acme.example")
    assert asked["To"] == "ann@example.org"
    assert (asked["Subject"], asked["TextBody"], asked["HtmlBody"]) == tuple(NON_ASCII[name] for name in ("subject", "text", "html"))
    assert asked["MessageStream"] == "broadcast"
    headers = {each["Name"]: each["Value"] for each in asked["Headers"]}
    check_extra(headers)
    assert (headers["Message-ID"], headers["X-PM-KeepID"]) == (f"<{asked['Metadata']['sojourn_message']}@acme.example>", "true")
    return Response(200, b'{"To": "ann@example.org", "MessageID": "0a129aee-e1cd-480d-b08d-4f48548ff48d", "ErrorCode": 0, "Message": "OK"}')


def id_of(request: Request) -> str:
    return str(request.json()["Metadata"]["sojourn_message"])


def error(status: int, code: int) -> Response:
    return Response(status, b'{"ErrorCode": %d, "Message": "about ann@example.org"}' % code)


class TestPostmark(HttpAdapterContract):
    kinds = (("email", "postmark"),)
    has_word_for_dead = False
    page = (
        Told(error(422, 406), Rejected),  # of the stream for marketing, which the rig's mails take
        Told(error(422, 300), Rejected),
        Told(error(422, 405), NotSent),
        Told(error(422, 412), NotSent),
        Told(error(401, 10), NotSent),
        Told(error(200, 99), Ambiguous),
    )

    @pytest.fixture
    async def rig(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailRig]:
        def make(url: str) -> Postmark:
            return Postmark(PostmarkAccount("token", base_url=url))

        async with mail_rig(postmark, make, accepts, id_of, monkeypatch) as rig:
            yield rig

    async def test_an_address_that_is_inactive_for_marketing_is_not_so_for_receipts(self, rig: MailRig) -> None:
        rig.provider.answer = error(422, 406)
        alike = Postmark(PostmarkAccount("token", transactional_stream="broadcast", base_url=rig.provider.base_url))
        for adapter, message_class, is_listed in (
            (rig.adapter, "marketing", False),
            (rig.adapter, "transactional", True),
            (alike, "marketing", True),
        ):
            rig.provider.accepts = lambda _request: error(422, 406)
            with pytest.raises(Rejected) as failed:
                await adapter.send(mail(message_class=message_class))
            assert (failed.value.suppress, failed.value.is_listed) == (is_listed, is_listed)
            assert "ann" not in failed.value.answer
        await alike.close()

    async def test_transactional_mail_goes_by_its_own_stream(self, rig: MailRig) -> None:
        def by_stream(request: Request) -> Response:
            assert request.json()["MessageStream"] == "outbound"
            return Response(200, b'{"MessageID": "1", "ErrorCode": 0}')

        rig.provider.accepts = by_stream
        await rig.adapter.send(mail(message_class="transactional"))
