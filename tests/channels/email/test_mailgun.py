"""Mailgun, against a stand-in that reads the form as a multipart parser does and the mail as a mail reader does."""

from base64 import b64encode
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage, Message

import pytest

from channels.base import NotSent, Rejected
from channels.email import mailgun
from channels.email.mailgun import Mailgun, MailgunAccount
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.email.rig import MailRig, mail_rig, read_mail
from tests.channels.provider import Request, Response


def form(request: Request) -> dict[str, bytes]:
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parsed = message_from_bytes(head + request.body, policy=policy.HTTP)
    assert isinstance(parsed, EmailMessage)
    return {str(part["content-disposition"].params["name"]): _payload(part) for part in parsed.iter_parts()}


def _payload(part: Message) -> bytes:
    # What the form calls message/rfc822 the standard library reads as a message at once.
    inner = part.get_payload()
    if isinstance(inner, list):
        assert isinstance(inner[0], Message)
        return inner[0].as_bytes(policy=policy.SMTP)
    decoded = part.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    return decoded


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/v3/mg.acme.example/messages.mime")
    assert request.headers["authorization"] == "Basic " + b64encode(b"api:key-1").decode()
    fields = form(request)
    assert set(fields) == {"to", "message", "v:sojourn_message"}
    assert fields["to"] == b"ann@example.org"
    mail = read_mail(fields["message"])
    assert mail["message-id"] == f"<{fields['v:sojourn_message'].decode()}@acme.example>"
    return Response(200, b'{"id": "<20260101.1@mg.acme.example>", "message": "Queued. Thank you."}')


def id_of(request: Request) -> str:
    return form(request)["v:sojourn_message"].decode()


class TestMailgun(HttpAdapterContract):
    kinds = (("email", "mailgun"),)
    has_word_for_dead = False
    page = (
        Told(Response(400, b'{"message": "to parameter is not a valid address."}'), Rejected),
        Told(Response(401, b"Forbidden"), NotSent),
        Told(Response(404, b'{"message": "Domain not found: mg.acme.example"}'), Rejected),
        Told(Response(429, b"Too Many Requests"), NotSent),
    )

    @pytest.fixture
    async def rig(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailRig]:
        def make(url: str) -> Mailgun:
            return Mailgun(MailgunAccount("key-1", "mg.acme.example", base_url=url))

        async with mail_rig(mailgun, make, accepts, id_of, monkeypatch) as rig:
            yield rig
