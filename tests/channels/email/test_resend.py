"""Resend, against a stand-in that checks every field and keeps to its idempotency keys."""

from collections.abc import AsyncIterator

import pytest

from channels.base import Ambiguous, NotSent, Rejected
from channels.email import resend
from channels.email.resend import Resend, ResendAccount
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.email.rig import HELP, NON_ASCII, SENDER, MailRig, check_extra, check_mailbox, mail_rig
from tests.channels.messages import mail
from tests.channels.provider import Request, Response


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/emails")
    assert request.headers["authorization"] == "Bearer re_key"
    assert request.headers["content-type"] == "application/json"
    asked = request.json()
    assert set(asked) == {"from", "to", "reply_to", "subject", "text", "html", "headers", "tags"}
    # An encoded sender is refused: 451 security_error, "invalid characters".
    assert asked["from"] == f"{SENDER} <hello@acme.example>"
    check_mailbox(asked["reply_to"], HELP, "help@acme.example")
    assert asked["to"] == ["ann@example.org"]
    assert (asked["subject"], asked["text"], asked["html"]) == tuple(NON_ASCII[name] for name in ("subject", "text", "html"))
    check_extra(asked["headers"])
    assert asked["headers"]["References"] == f"<{request.headers['idempotency-key']}@acme.example>"
    [tag] = asked["tags"]
    # A tag's value is ASCII letters, digits, underscores and dashes, 256 at most.
    assert tag == {"name": "sojourn_message", "value": request.headers["idempotency-key"]}
    return Response(200, b'{"id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}')


def id_of(request: Request) -> str:
    return request.headers["idempotency-key"]


def error(status: int, name: str) -> Response:
    return Response(status, b'{"statusCode": %d, "name": "%s", "message": "about ann@example.org"}' % (status, name.encode()))


class TestResend(HttpAdapterContract):
    kinds = (("email", "resend"),)
    has_word_for_dead = False
    page = (
        Told(error(409, "concurrent_idempotent_requests"), Ambiguous),
        Told(error(409, "invalid_idempotent_request"), Ambiguous),
        Told(error(422, "validation_error"), Rejected),
        Told(error(403, "validation_error"), NotSent),
        Told(error(429, "daily_quota_exceeded"), NotSent),
        Told(error(500, "application_error"), Ambiguous),
    )

    @pytest.fixture
    async def rig(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailRig]:
        async with mail_rig(resend, lambda url: Resend(ResendAccount("re_key", base_url=url)), accepts, id_of, monkeypatch) as rig:
            yield rig

    async def test_names_that_need_quotes_elsewhere_have_none(self, rig: MailRig) -> None:
        rig.provider.accepts = lambda _request: Response(200, b'{"id": "1"}')
        await rig.adapter.send(mail(parts={"from": '"Acme Inc." <hello@acme.example>', "reply_to": '"Help, quickly" <help@acme.example>'}))
        asked = rig.provider.requests[0].json()
        assert asked["from"] == "Acme Inc. <hello@acme.example>"
        assert '"' not in asked["reply_to"]
        check_mailbox(asked["reply_to"], "Help, quickly", "help@acme.example")
