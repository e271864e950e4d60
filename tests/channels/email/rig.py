"""What the tests of every mail provider's API share: mails beyond ASCII, and how they must look at the other end."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from types import ModuleType

import pytest

from channels.base import Adapter, Outgoing
from tests.channels.messages import mail
from tests.channels.provider import Accepts, FakeProvider, Request, provider

UNSUBSCRIBE = "https://sojourn.example/u/abc"
# So long that they are more than one encoded word, which a header would hold in several lines.
SENDER = "Größe und Söhne Gesellschaft für 大小 🎈"
HELP = "Häuser und Gärten, Hilfe für 大小 🎈"
NON_ASCII = {
    "subject": "Größe, 大小, 🎈",
    "text": "Größe 大小 🎈",
    "html": "<p>Größe 大小 🎈</p>",
    "from": f"{SENDER} <hello@acme.example>",
    "reply_to": f"{HELP} <help@acme.example>",
}


@dataclass
class MailRig:
    provider: FakeProvider
    adapter: Adapter
    away: Adapter
    id_of: Callable[[Request], str]
    largest: int

    def message(self, **changes: object) -> Outgoing:
        return mail(**{"parts": NON_ASCII, "unsubscribe_url": UNSUBSCRIBE, **changes})

    def big(self) -> Outgoing:
        return mail(parts={"text": "x" * self.largest})

    async def arrived(self) -> list[str]:
        return [self.id_of(request) for request in self.provider.requests]


@asynccontextmanager
async def mail_rig(
    module: ModuleType,
    make: Callable[[str], Adapter],
    accepts: Accepts,
    id_of: Callable[[Request], str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[MailRig]:
    """`make` builds the adapter for a base URL. The provider's own limit of megabytes is taken for a small one."""
    monkeypatch.setattr(module, "_LARGEST", 20_000)
    async with provider(accepts) as found:
        rig = MailRig(found, make(found.base_url), make("http://127.0.0.1:1"), id_of, largest=20_000)
        yield rig
        await rig.adapter.close()
        await rig.away.close()


def read_mail(raw: bytes) -> EmailMessage:
    """Parse a raw mail and see that nothing of it was lost on the way."""
    found = message_from_bytes(raw, policy=policy.default)
    assert isinstance(found, EmailMessage)
    assert found["subject"] == NON_ASCII["subject"]
    # The newer parser puts a space between two encoded words of a name, and RFC 2047 says none.
    written = {name.lower(): "".join(str(value).splitlines()) for name, value in message_from_bytes(raw).items()}
    check_mailbox(written["from"], SENDER, "hello@acme.example")
    check_mailbox(written["reply-to"], HELP, "help@acme.example")
    assert found["list-unsubscribe"] == f"<{UNSUBSCRIBE}>"
    text, html = found.get_body(("plain",)), found.get_body(("html",))
    assert text is not None
    assert html is not None
    assert (text.get_content().strip(), html.get_content().strip()) == (NON_ASCII["text"], NON_ASCII["html"])
    return found


def check_mailbox(found: str, name: str, address: str) -> None:
    """One line that names somebody in the form of a header (RFC 2047)."""
    assert found.isascii()
    assert "\n" not in found
    phrase, bare = parseaddr(found)
    assert (str(make_header(decode_header(phrase))), bare) == (name, address)


def check_extra(found: dict[str, str]) -> None:
    """The headers that a provider must be told to add."""
    assert found["List-Unsubscribe"] == f"<{UNSUBSCRIBE}>"
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert found["List-Id"] == "<general.demo.acme.example>"
    assert found["Precedence"] == "bulk"
