"""Mail over SMTP: connections that are used again, and a real server in another process whose mails the standard library reads."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from functools import partial
from pathlib import Path

import pytest

from channels.base import NotSent, Outgoing, Rejected
from channels.egress import Egress
from channels.email.connection import SmtpServer
from channels.email.smtp import Smtp
from tests.channels.certificates import Certificate, make_certificate
from tests.channels.contract import AdapterContract, Case
from tests.channels.email.rig import NON_ASCII, UNSUBSCRIBE, read_mail
from tests.channels.email.scripted_server import CUT, SILENCE, ScriptedServer, scripted
from tests.channels.messages import mail

SERVER = Path(__file__).with_name("receiving_server.py")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def smtp_to(port: int, **changes: object) -> Smtp:
    values: dict[str, object] = {"host": "127.0.0.1", "port": port, "tls": "none", "timeout_s": 5, "connections": 3}
    return Smtp(SmtpServer(**(values | changes)))  # type: ignore[arg-type]


@dataclass
class SmtpRig:
    server: ScriptedServer
    adapter: Smtp
    away: Smtp

    def message(self, **changes: object) -> Outgoing:
        return mail(**{"parts": NON_ASCII, "unsubscribe_url": UNSUBSCRIBE, **changes})

    def big(self) -> Outgoing:
        self.server.largest = 1_000_000
        return mail(parts={"text": "x" * 1_000_000})

    async def arrived(self) -> list[str]:
        return self.server.ids()


class TestSmtp(AdapterContract):
    kinds = (("email", "smtp"),)
    has_word_for_dead = True

    def words_for_dead(self, rig: SmtpRig) -> list[Callable[[], None]]:
        words = ("550 5.1.1 no such user", "551 user not local", "550 5.2.1 mailbox disabled", "553 5.1.3 bad address syntax")
        return [partial(setattr, rig.server, "script", {"RCPT": word}) for word in words]

    def refusals(self, rig: SmtpRig) -> list[Case]:
        answers = {"MAIL": "550 5.7.1 not this sender", "RCPT": "550 5.7.1 by policy", "DATA": "554 no", "dot": "554 5.6.0 looks like spam"}
        return [self._case(rig, stage, answer) for stage, answer in answers.items()]

    def busy(self, rig: SmtpRig) -> list[Case]:
        """No server names a time."""
        lines = ("421 closing", "450 greylisted", "451 4.3.0 later", "452 too many", "454 4.7.0 throttled")
        return [
            *(self._case(rig, stage, line) for stage in ("MAIL", "RCPT", "DATA", "dot") for line in lines),
            self._case(rig, "connect", "421 too many connections"),
            self._case(rig, "MAIL", CUT),
        ]

    def unclear(self, rig: SmtpRig) -> list[Case]:
        def say() -> None:
            rig.server.script = {"dot": SILENCE}
            rig.adapter = smtp_to(rig.server.port, timeout_s=1)

        return [*(self._case(rig, "dot", answer) for answer in (CUT, "354 what?", "nonsense")), Case("silence", say)]

    def _case(self, rig: SmtpRig, stage: str, answer: str) -> Case:
        return Case(f"{stage}: {answer}", partial(setattr, rig.server, "script", {stage: answer}))

    def see(self, rig: SmtpRig) -> None:
        read_mail(rig.server.bodies[-1])

    @pytest.fixture
    async def rig(self) -> AsyncIterator[SmtpRig]:
        async with scripted() as server:
            rig = SmtpRig(server, smtp_to(server.port), smtp_to(free_port()))
            adapter = rig.adapter
            yield rig
            await adapter.close()
            await rig.adapter.close()


async def test_a_connection_is_used_again() -> None:
    async with scripted() as server:
        smtp = smtp_to(server.port)
        for _ in range(5):
            await smtp.send(mail())
        assert (server.connections, len(server.bodies)) == (1, 5)
        await smtp.close()


async def test_no_more_connections_than_allowed_are_open() -> None:
    async with scripted() as server:
        smtp = smtp_to(server.port, connections=2)
        await asyncio.gather(*(smtp.send(mail()) for _ in range(20)))
        assert (server.connections, len(server.bodies)) == (2, 20)
        await smtp.close()


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced_without_a_failure() -> None:
    async with scripted(MAIL=["250 ok", CUT]) as server:
        smtp = smtp_to(server.port)
        await smtp.send(mail())
        await smtp.send(mail())
        assert (server.connections, len(server.bodies)) == (2, 2)
        await smtp.close()


async def test_a_connection_that_the_server_ends_with_421_is_replaced_without_a_failure() -> None:
    async with scripted(MAIL=["250 ok", "421 enough for one connection"]) as server:
        smtp = smtp_to(server.port)
        await smtp.send(mail())
        await smtp.send(mail())
        assert (server.connections, len(server.bodies)) == (2, 2)
        await smtp.close()


async def test_a_refused_address_does_not_cost_the_connection_or_the_next_mail() -> None:
    async with scripted(RCPT=["550 5.1.1 no such user"]) as server:
        smtp = smtp_to(server.port)
        with pytest.raises(Rejected):
            await smtp.send(mail())
        await smtp.send(mail())
        assert (server.connections, len(server.bodies)) == (1, 1)
        await smtp.close()


async def test_who_finds_every_connection_busy_waits_until_the_deadline_and_no_longer() -> None:
    async with scripted(dot=["silence"]) as server:
        smtp = smtp_to(server.port, connections=1, timeout_s=1.0)
        first = asyncio.create_task(smtp.send(mail()))
        await asyncio.sleep(0.1)
        with pytest.raises(NotSent, match="busy"):
            await smtp.send(mail(deadline=time.monotonic() + 0.2))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await smtp.close()


@dataclass
class Received:
    port: int
    folder: Path

    def mails(self) -> list[EmailMessage]:
        found = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in self.folder.glob("*.eml")]
        return [each for each in found if isinstance(each, EmailMessage)]

    def envelopes(self) -> list[dict[str, object]]:
        return [json.loads(path.read_text()) for path in self.folder.glob("*.json")]


def running(folder: Path, *certificate: str) -> Iterator[Received]:
    command = [sys.executable, "-W", "ignore", str(SERVER), str(folder), *certificate]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield Received(int(server.stdout.readline()), folder)
        server.terminate()


@pytest.fixture
def receiving(tmp_path: Path) -> Iterator[Received]:
    yield from running(tmp_path)


@pytest.fixture
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"), "localhost")


@pytest.fixture
def secured(tmp_path: Path, certificate: Certificate) -> Iterator[Received]:
    yield from running(tmp_path, str(certificate.file), str(certificate.key))


def read(part: MIMEPart | None) -> str:
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


async def test_a_real_server_gets_a_mail_that_the_standard_library_reads(receiving: Received) -> None:
    smtp = smtp_to(receiving.port)
    message = mail(unsubscribe_url="https://acme.example/unsubscribe/abc", address="ann@bücher.example")
    await smtp.send(message)
    await smtp.close()
    [got] = receiving.mails()
    assert got.defects == []
    assert got["Subject"] == "Welcome, Ann"
    assert got["From"].addresses[0].addr_spec == "hello@acme.example"
    assert got["To"] == "ann@xn--bcher-kva.example"
    assert got["Message-ID"] == f"<{message.message_id}@acme.example>"
    assert got["List-Unsubscribe"] == "<https://acme.example/unsubscribe/abc>"
    assert read(got.get_body(("plain",))) == "Hello Ann,\nthis is it.\n.\nA line after a dot.\n.hidden\n"
    assert read(got.get_body(("html",))) == "<p>Hello Ann, größer &amp; so</p>\n"
    assert receiving.envelopes()[0]["to"] == ["ann@xn--bcher-kva.example"]


async def test_mail_goes_over_starttls_after_a_login(secured: Received, certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    smtp = smtp_to(secured.port, host="localhost", tls="starttls", username="ann", password="secret")
    await smtp.send(mail())
    await smtp.close()
    assert [envelope["tls"] for envelope in secured.envelopes()] == [True]


async def test_where_the_address_is_judged_the_certificate_is_still_that_of_the_name(
    secured: Received, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    for host, is_delivered in (("localhost", True), ("mail.invalid", False)):
        server = SmtpServer(host, secured.port, "ann", "secret", timeout_s=5)
        smtp = Smtp(server, Egress(may_reach_loopback=True, resolve=resolve))
        try:
            await smtp.send(mail())
            assert is_delivered
        except NotSent:
            assert not is_delivered
        await smtp.close()
    assert [envelope["tls"] for envelope in secured.envelopes()] == [True]


async def test_a_certificate_of_nobody_we_know_gets_no_mail(secured: Received) -> None:
    smtp = smtp_to(secured.port, host="localhost", tls="starttls", username="ann", password="secret")
    with pytest.raises(NotSent):
        await smtp.send(mail())
    assert secured.mails() == []
    await smtp.close()


async def test_a_wrong_password_keeps_the_mail_planned(
    secured: Received, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    smtp = smtp_to(secured.port, host="localhost", tls="starttls", username="ann", password="wrong")
    with pytest.raises(NotSent):
        await smtp.send(mail())
    await smtp.close()


def test_the_password_is_never_shown() -> None:
    assert "secret" not in repr(SmtpServer("127.0.0.1", 25, "ann", "secret"))
