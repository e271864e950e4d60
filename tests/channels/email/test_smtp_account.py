"""A mail server of an app's own: it is used as the installation's, and leads nowhere but to public mail servers."""

from typing import Any

import pytest

from channels.accounts import Surroundings, adapter_of
from channels.base import NotSent
from channels.egress import Egress
from channels.email.connection import SmtpServer
from channels.email.smtp import Smtp
from channels.registry import KINDS
from journeys.language.errors import Invalid
from tests.channels.email.scripted_server import scripted
from tests.channels.messages import mail

DEVELOPMENT = Surroundings("https://sojourn.example", may_use_stand_ins=True)
PRODUCTION = Surroundings("https://sojourn.example", may_use_stand_ins=False)
LOGIN = {"username": "acme", "password": "hush"}


def account(around: Surroundings = PRODUCTION, **settings: Any) -> Smtp:
    made = adapter_of(KINDS["email", "smtp"], "smtp", settings, around)
    assert isinstance(made, Smtp)
    return made


def wrong(around: Surroundings = PRODUCTION, **settings: Any) -> list[str]:
    with pytest.raises(Invalid) as invalid:
        account(around, **settings)
    assert "hush" not in str(invalid.value)
    return [problem.pointer for problem in invalid.value.problems]


async def test_an_account_logs_in_and_sends() -> None:
    async with scripted(EHLO="250-scripted\r\n250 AUTH PLAIN") as server:
        smtp = account(DEVELOPMENT, host="127.0.0.1", port=server.port, tls="none", **LOGIN)
        await smtp.verify()
        message = mail()
        await smtp.send(message)
        await smtp.close()
    assert server.ids() == [str(message.message_id)]
    assert [line.split()[:2] for line in server.seen if line.startswith("AUTH")] == [["AUTH", "PLAIN"]] * 2


async def test_a_server_that_refuses_the_login_is_told_without_the_password() -> None:
    async with scripted(EHLO="250-scripted\r\n250 AUTH PLAIN", AUTH="535 5.7.8 no") as server:
        smtp = account(DEVELOPMENT, host="127.0.0.1", port=server.port, tls="none", **LOGIN)
        with pytest.raises(NotSent, match="535") as refused:
            await smtp.verify()
    assert "hush" not in refused.value.answer


def test_what_cannot_be_a_mail_server_is_named() -> None:
    assert wrong(host="smtp.example.com", port=22) == ["/settings/port"]
    assert wrong(host="smtp.example.com", tls="none") == ["/settings/tls"]
    assert wrong(host="127.0.0.1", port=2, tls="none") == ["/settings/port", "/settings/tls"]
    assert wrong(DEVELOPMENT, host="smtp.example.com", port=22) == ["/settings/port"]
    assert wrong(host="smtp.example.com\r\nquit") == ["/settings/host"]
    assert wrong(host="smtp.example.com", username="acme") == ["/settings/password"]
    assert wrong(host="smtp.example.com", password="hush") == ["/settings/username"]


async def test_a_command_line_gives_numbers_as_text() -> None:
    await account(host="smtp.example.com", port="465", tls="tls", connections="3").close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "10.0.0.7", "169.254.169.254", "0.0.0.0"])  # noqa: S104 - refused
async def test_an_account_reaches_nothing_inside(host: str) -> None:
    smtp = account(host=host)
    with pytest.raises(NotSent, match="not a public one"):
        await smtp.verify()
    with pytest.raises(NotSent, match="not a public one"):
        await smtp.send(mail())


# Judging an address asks the system for the way there: a UDP socket is connected, and nothing is sent.
@pytest.mark.allow_hosts(["127.0.0.1", "93.184.215.14"])
async def test_one_inner_address_among_public_ones_spoils_the_name() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14", "127.0.0.1"]

    async with scripted() as server:
        smtp = Smtp(SmtpServer("mail.example", server.port, tls="none"), Egress(resolve=resolve))
        with pytest.raises(NotSent, match="not a public one"):
            await smtp.verify()
    assert server.connections == 0


async def test_the_connection_goes_to_the_judged_address_whatever_the_name_says_next() -> None:
    asked = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with scripted() as server:
        smtp = Smtp(SmtpServer("mail.invalid", server.port, tls="none"), Egress(may_reach_loopback=True, resolve=resolve))
        await smtp.send(mail())
        await smtp.close()
    assert (asked, len(server.bodies)) == (["mail.invalid"], 1)
