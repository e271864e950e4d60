"""SendGrid, against a stand-in that checks every field of Mail Send v3."""

import time
from collections.abc import AsyncIterator

import pytest

from channels.base import NotSent, Rejected
from channels.email import sendgrid
from channels.email.sendgrid import Sendgrid, SendgridAccount
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.email.rig import HELP, NON_ASCII, SENDER, MailRig, check_extra, mail_rig
from tests.channels.provider import Request, Response


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/v3/mail/send")
    assert request.headers["authorization"] == "Bearer SG.key"
    assert request.headers["content-type"] == "application/json"
    asked = request.json()
    assert set(asked) == {"personalizations", "from", "reply_to", "subject", "content", "headers"}
    [person] = asked["personalizations"]
    assert person["to"] == [{"email": "ann@example.org"}]
    assert asked["from"] == {"email": "hello@acme.example", "name": SENDER}
    assert asked["reply_to"] == {"email": "help@acme.example", "name": HELP}
    assert asked["subject"] == NON_ASCII["subject"]
    # SendGrid refuses a list in which HTML stands before plain text.
    assert asked["content"] == [
        {"type": "text/plain", "value": NON_ASCII["text"]},
        {"type": "text/html", "value": NON_ASCII["html"]},
    ]
    check_extra(asked["headers"])
    assert asked["headers"]["Message-ID"] == f"<{asked['personalizations'][0]['custom_args']['sojourn_message']}@acme.example>"
    return Response(202, b"", {"x-message-id": "sg-1"})


def id_of(request: Request) -> str:
    return str(request.json()["personalizations"][0]["custom_args"]["sojourn_message"])


class TestSendgrid(HttpAdapterContract):
    kinds = (("email", "sendgrid"),)
    has_word_for_dead = False
    page = (
        Told(Response(400, b'{"errors": [{"message": "The to email does not contain a valid address."}]}'), Rejected),
        Told(Response(413, b'{"errors": [{"message": "The JSON payload you have passed is too large."}]}'), Rejected),
        Told(Response(429, b"{}", {"x-ratelimit-reset": str(int(time.time()) + 36_000)}), NotSent, retry_after_s=3600),
        Told(Response(429, b"{}", {"x-ratelimit-reset": "soon"}), NotSent),
        Told(Response(429, b"{}", {"x-ratelimit-reset": "soon", "retry-after": "7"}), NotSent, retry_after_s=7),
    )

    @pytest.fixture
    async def rig(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailRig]:
        async with mail_rig(sendgrid, lambda url: Sendgrid(SendgridAccount("SG.key", base_url=url)), accepts, id_of, monkeypatch) as rig:
            yield rig
