"""Headers and tags of an author's own, as each provider gets them; and what no author may write."""

from base64 import b64decode
from collections.abc import Callable
from email import message_from_bytes, policy
from typing import Any

import orjson
import pytest

from channels.base import Adapter, Rejected
from channels.email import labels
from channels.email.connection import SmtpServer
from channels.email.mailgun import Mailgun, MailgunAccount
from channels.email.postmark import Postmark, PostmarkAccount
from channels.email.resend import Resend, ResendAccount
from channels.email.sendgrid import Sendgrid, SendgridAccount
from channels.email.ses import Ses, SesAccount
from channels.email.smtp import Smtp
from channels.render import Renderer, RenderFailed
from channels.templates import problems
from tests.channels.email.scripted_server import scripted
from tests.channels.messages import mail
from tests.channels.provider import Request, Response, provider

LONG = "https://acme.example/" + "a" * 200
HEADERS = {"X-Order": "7", "X-Long": LONG, "X-Where": "Größe " * 30, "X-Nothing": " "}
TAGS = {"campaign": "spring", "team": "growth"}
ADDED = {"X-Order": "7", "X-Long": LONG, "X-Where": ("Größe " * 30).strip()}
PAIRS = ["campaign:spring", "team:growth"]

Read = Callable[[Request], tuple[dict[str, str], object]]


def decoded(headers: dict[str, str]) -> dict[str, str]:
    """Those of the author's, as a reader sees them."""
    written = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name.startswith("X-") and "\n" not in value)
    return in_mail(written.encode("ascii") + b"\r\n")


def in_mail(raw: bytes) -> dict[str, str]:
    message = message_from_bytes(raw, policy=policy.default)
    return {name: str(value).strip() for name, value in message.items() if name in HEADERS}


def of_ses(request: Request) -> tuple[dict[str, str], object]:
    asked = request.json()
    tags = {tag["Name"]: tag["Value"] for tag in asked["EmailTags"] if tag["Name"] != "sojourn_message"}
    return in_mail(b64decode(asked["Content"]["Raw"]["Data"])), (tags, asked["ConfigurationSetName"])


def of_mailgun(request: Request) -> tuple[dict[str, str], object]:
    whole: Any = message_from_bytes(b"content-type: " + request.headers["content-type"].encode() + b"\r\n\r\n" + request.body)
    fields = [(part.get_param("name", header="content-disposition"), part) for part in whole.get_payload()]
    [mail] = [part.get_payload(0).as_bytes() for name, part in fields if name == "message"]
    texts = [(name, part.get_payload()) for name, part in fields if name != "message"]
    variables = {name[2:]: text for name, text in texts if name.startswith("v:") and name != "v:sojourn_message"}
    return in_mail(mail), (variables, [text for name, text in texts if name == "o:tag"])


def of_sendgrid(request: Request) -> tuple[dict[str, str], object]:
    asked = request.json()
    arguments = {name: text for name, text in asked["personalizations"][0]["custom_args"].items() if name != "sojourn_message"}
    return decoded(asked["headers"]), (arguments, asked["categories"])


def of_postmark(request: Request) -> tuple[dict[str, str], object]:
    asked = request.json()
    metadata = {name: text for name, text in asked["Metadata"].items() if name != "sojourn_message"}
    return decoded({each["Name"]: each["Value"] for each in asked["Headers"]}), (metadata, asked["Tag"])


def of_resend(request: Request) -> tuple[dict[str, str], object]:
    asked = request.json()
    return decoded(asked["headers"]), {tag["name"]: tag["value"] for tag in asked["tags"] if tag["name"] != "sojourn_message"}


PROVIDERS: dict[str, tuple[Callable[[str], Adapter], dict[str, Any], Read, object]] = {
    "ses": (
        lambda url: Ses(SesAccount("AKID", "secret", "eu-west-1", configuration_set="events", base_url=url)),
        {"MessageId": "1"},
        of_ses,
        (TAGS, "events"),
    ),
    "sendgrid": (lambda url: Sendgrid(SendgridAccount("k", base_url=url)), {"status": 202}, of_sendgrid, (TAGS, PAIRS)),
    "postmark": (
        lambda url: Postmark(PostmarkAccount("t", base_url=url)),
        {"MessageID": "1", "ErrorCode": 0},
        of_postmark,
        (TAGS, "campaign:spring"),
    ),
    "mailgun": (
        lambda url: Mailgun(MailgunAccount("k", "mg.acme.example", base_url=url)),
        {"id": "1"},
        of_mailgun,
        (TAGS, PAIRS),
    ),
    "resend": (lambda url: Resend(ResendAccount("k", base_url=url)), {"id": "1"}, of_resend, TAGS),
}


@pytest.mark.parametrize("name", PROVIDERS)
async def test_every_provider_gets_headers_and_tags_where_it_wants_them(name: str) -> None:
    make, answer, read, tags = PROVIDERS[name]
    async with provider(lambda _request: Response(answer.get("status", 200), orjson.dumps(answer))) as far:
        adapter = make(far.base_url)
        await adapter.send(mail(parts={"headers": HEADERS, "tags": TAGS}))
        with pytest.raises(Rejected):
            await adapter.send(mail(parts={"headers": {"X-Order": "7\r\nBcc: eve@example.com"}}))
        await adapter.close()
        [request] = far.requests
    assert read(request) == (ADDED, tags)


async def test_a_mail_server_gets_the_headers() -> None:
    async with scripted() as server:
        smtp = Smtp(SmtpServer("127.0.0.1", server.port, tls="none"))
        await smtp.send(mail(parts={"headers": HEADERS, "tags": TAGS}))
        await smtp.close()
    assert in_mail(server.bodies[0]) == ADDED
    assert f"\r\nX-Long: {LONG}\r\n".encode() in server.bodies[0]


THEIRS = ["From", "to", "BCC", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Content-Type", "Received", "DKIM-Signature"]
ORDERS = ["X-SES-Message-Tags", "X-SMTPAPI", "X-PM-Tag", "X-Mailgun-Tag"]
NO_NAMES = ["", "Größe", "X A", "X:A", "X-A\r\nBcc", "X-" + "a" * 60, "7-X"]


@pytest.mark.parametrize("name", [*THEIRS, *ORDERS, *NO_NAMES])
def test_no_author_writes_a_header_that_is_not_theirs(name: str) -> None:
    with pytest.raises(ValueError, match="header"):
        labels.header_name(name)


def of_template(toml: str) -> list[tuple[str, str]]:
    files = {"subject.txt": "a", "body.txt": "b", "template.toml": toml}
    return [(problem.pointer, problem.code) for problem in problems("welcome", files)]


@pytest.mark.parametrize(
    ("toml", "code"),
    [
        ('[headers]\nFrom = "eve@example.com"', "bad_file"),
        ('[headers]\nX-A = "a\\r\\nBcc: eve@example.com"', "bad_file"),
        ('[headers]\nX-A = "a"\nx-a = "b"', "bad_file"),
        ("[headers]\nX-A = 7", "bad_file"),
        ('headers = "X-A"', "bad_file"),
        ('[tags]\n"a b" = "c"', "bad_file"),
        ('[tags]\ncampaign = "{{ user.name }}"', "bad_file"),
        ('[headers]\nX-A = "{{ entry.order_id }}"', "no_default"),
    ],
)
def test_a_template_is_told_what_its_mail_may_not_have(toml: str, code: str) -> None:
    assert of_template(toml) == [("templates/welcome/template.toml", code)]


async def test_headers_of_a_template_are_filled_in() -> None:
    toml = 'from = "a@b.example"\nrequired = ["entry.id"]\ntags = {campaign = "spring"}\n[headers]\nX-Order = "{{ entry.id }}"'
    files = {"subject.txt": "a", "body.txt": "b", "template.toml": toml}
    assert of_template(f'{toml}\n[sample.entry]\nid = "1"') == []
    renderer = Renderer()
    content = await renderer.render("receipt", 1, files, "email", {"entry": {"id": "7"}})
    with pytest.raises(RenderFailed, match=r"missing_variable:entry\.id"):
        await renderer.render("receipt", 1, files, "email", {"entry": {}})
    await renderer.close()
    assert content.parts == {
        "subject": "a",
        "text": "b",
        "from": "a@b.example",
        "headers": {"X-Order": "7"},
        "tags": {"campaign": "spring"},
    }
