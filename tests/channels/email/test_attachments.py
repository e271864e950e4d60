"""Files that go with a mail, as each provider gets them and as a reader finds them."""

from base64 import b64decode, b64encode
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Adapter, Rejected
from channels.email import mime
from channels.email.attachments import Attachment, file_name, media_type
from channels.email.connection import SmtpServer
from channels.email.mailgun import Mailgun, MailgunAccount
from channels.email.postmark import Postmark, PostmarkAccount
from channels.email.resend import Resend, ResendAccount
from channels.email.sendgrid import Sendgrid, SendgridAccount
from channels.email.ses import Ses, SesAccount
from channels.email.smtp import Smtp
from channels.render import Renderer
from channels.sandbox import Kept, Sandbox
from channels.templates import problems
from tests.channels.email.scripted_server import scripted
from tests.channels.messages import mail
from tests.channels.provider import Request, Response, provider

PDF = bytes(range(256)) * 150
FILES = [
    {"name": "Größe 大小 und noch viel mehr, weil es so schön ist.pdf", "type": "application/pdf", "content": b64encode(PDF).decode()},
    {"name": 'the "a".csv', "type": "text/csv", "content": b64encode(b"a,b\n\r.\r\n").decode()},
]
FOUND = [(FILES[0]["name"], "application/pdf", PDF), (FILES[1]["name"], "text/csv", b"a,b\n\r.\r\n")]


def files_of(message: bytes) -> list[tuple[str | None, str, bytes]]:
    found = message_from_bytes(message, policy=policy.default)
    assert isinstance(found, EmailMessage)
    assert found.defects == []
    return [
        (part.get_filename(), part.get_content_type(), payload)
        for part in found.iter_attachments()
        if isinstance(payload := part.get_payload(decode=True), bytes)
    ]


def test_a_reader_finds_every_file_and_both_bodies() -> None:
    built = mime.build(mail(parts={"attachments": FILES})).message
    message = message_from_bytes(built, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert [part.get_content_type() for part in message.iter_parts()] == ["multipart/alternative", "application/pdf", "text/csv"]
    assert files_of(built) == FOUND
    html = message.get_body(("html",))
    assert html is not None
    assert "größer" in html.get_content()
    assert all(len(line) <= 78 for line in built.split(b"\r\n"))
    assert b"\n" not in built.replace(b"\r\n", b"")


@pytest.mark.parametrize("absent", ["text", "html"])
def test_a_mail_of_one_body_carries_files_too(absent: str) -> None:
    assert files_of(mime.build(mail(parts={absent: None, "attachments": FILES})).message) == FOUND


@given(st.text(min_size=1, max_size=100), st.binary(max_size=300))
def test_any_name_that_is_let_in_arrives_as_it_was(name: str, content: bytes) -> None:
    try:
        file_name(name)
    except Rejected:
        return
    built = mime.build(mail(parts={"attachments": [{"name": name, "type": "a/b", "content": b64encode(content).decode()}]})).message
    [(found, _, payload)] = files_of(built)
    # The standard library's reader folds spaces.
    assert " ".join((found or "").split()) == " ".join(name.split())
    assert payload == content


@pytest.mark.parametrize("name", ["", "..", "../a", "a/b", "C:\\a", "a\nb", "a\x00", "\u202efdp.exe", "=?utf-8?q?a?=", "x" * 101, " . "])
def test_what_is_no_plain_name_is_refused(name: str) -> None:
    with pytest.raises(Rejected):
        file_name(name)


@pytest.mark.parametrize("text", ["", "pdf", "a/b; name=x", "a/b\r\nBcc: x", "multipart/mixed", "message/rfc822", "A/B", "a/b/c"])
def test_what_is_no_type_of_one_file_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        media_type(text)


def of_mailgun(request: Request) -> Any:
    form = message_from_bytes(b"content-type: " + request.headers["content-type"].encode() + b"\r\n\r\n" + request.body, policy=policy.HTTP)
    [message] = [part for part in form.iter_parts() if part.get_filename() == "message.mime"]
    [inner] = message.iter_parts()
    return files_of(inner.as_bytes())


PROVIDERS: list[tuple[Any, dict[str, Any], Any]] = [
    (
        lambda url: Sendgrid(SendgridAccount("k", base_url=url)),
        {"status": 202},
        lambda asked: [
            (f["filename"], f["type"], b64decode(f["content"])) for f in asked.json()["attachments"] if f["disposition"] == "attachment"
        ],
    ),
    (
        lambda url: Postmark(PostmarkAccount("t", base_url=url)),
        {"MessageID": "1", "ErrorCode": 0},
        lambda asked: [(f["Name"], f["ContentType"], b64decode(f["Content"])) for f in asked.json()["Attachments"]],
    ),
    (
        lambda url: Resend(ResendAccount("k", base_url=url)),
        {"id": "1"},
        lambda asked: [(f["filename"], f["content_type"], b64decode(f["content"])) for f in asked.json()["attachments"]],
    ),
    (
        lambda url: Ses(SesAccount("AKID", "secret", "eu-west-1", base_url=url)),
        {"MessageId": "1"},
        lambda asked: files_of(b64decode(asked.json()["Content"]["Raw"]["Data"])),
    ),
    (lambda url: Mailgun(MailgunAccount("k", "mg.acme.example", base_url=url)), {"id": "1"}, of_mailgun),
]


@pytest.mark.parametrize(("make", "answer", "files"), PROVIDERS, ids=["sendgrid", "postmark", "resend", "ses", "mailgun"])
async def test_every_provider_gets_every_file(make: Any, answer: dict[str, Any], files: Any) -> None:
    def accepts(_request: Request) -> Response:
        return Response(answer.get("status", 200), orjson.dumps(answer))

    async with provider(accepts) as far:
        adapter: Adapter = make(far.base_url)
        await adapter.send(mail(parts={"attachments": FILES}))
        await adapter.close()
        assert files(far.requests[0]) == FOUND


async def test_a_mail_server_gets_every_file() -> None:
    async with scripted() as server:
        smtp = Smtp(SmtpServer("127.0.0.1", server.port, tls="none"))
        await smtp.send(mail(parts={"attachments": FILES}))
        await smtp.close()
        assert files_of(server.bodies[0]) == FOUND


INVITATION = "BEGIN:VCALENDAR\nSUMMARY:{{ entry.what }} & more\nEND:VCALENDAR\n"
WITH_FILE = {
    "subject.txt": "See you",
    "body.txt": "See you",
    "invite.ics": INVITATION,
    "template.toml": 'from = "a@b.example"\nrequired = ["entry.what"]\nattachments = {"invite.ics" = "text/calendar"}\n'
    '[sample.entry]\nwhat = "A"',
}


async def test_a_file_of_a_template_is_filled_in_and_goes_with_its_mail() -> None:
    assert problems("hello", WITH_FILE) == []
    renderer = Renderer()
    content = await renderer.render("hello", 1, WITH_FILE, "email", {"entry": {"what": "Tea, größer"}})
    await renderer.close()
    built = mime.build(mail(parts={"attachments": content.parts["attachments"]})).message
    [(name, kind, text)] = files_of(built)
    assert (name, kind) == ("invite.ics", "text/calendar")
    assert text.decode() == "BEGIN:VCALENDAR\r\nSUMMARY:Tea, größer & more\r\nEND:VCALENDAR\r\n"


@pytest.mark.parametrize(
    ("changes", "where", "code"),
    [
        ({"template.toml": "attachments = 1"}, "template.toml", "bad_file"),
        ({"template.toml": 'attachments = {"gone.ics" = "text/calendar"}'}, "template.toml", "bad_file"),
        ({"template.toml": 'attachments = {"body.txt" = "text/plain"}'}, "template.toml", "bad_file"),
        ({"template.toml": 'attachments = {"invite.ics" = "calendar"}'}, "template.toml", "bad_file"),
        ({"template.toml": ""}, "invite.ics", "unknown_file"),
        ({"template.toml": 'attachments = {"invite.ics" = "text/calendar"}'}, "invite.ics", "no_default"),
    ],
)
def test_a_template_is_told_which_file_cannot_go_with_its_mail(changes: dict[str, str], where: str, code: str) -> None:
    assert (f"templates/hello/{where}", code) in [(each.pointer, each.code) for each in problems("hello", WITH_FILE | changes)]


async def test_the_sandbox_keeps_names_and_sizes_and_no_bytes() -> None:
    kept: list[Kept] = []

    async def keep(one: Kept) -> None:
        kept.append(one)

    await Sandbox("email", keep).send(mail(parts={"attachments": FILES}))
    assert kept[0].content["attachments"] == [{"name": name, "type": kind, "size_bytes": len(content)} for name, kind, content in FOUND]


@given(st.binary(max_size=50))
def test_the_size_is_that_of_the_bytes(content: bytes) -> None:
    assert Attachment("a", "a/b", b64encode(content).decode()).size_bytes == len(content)
