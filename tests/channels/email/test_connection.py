"""What each end of an SMTP conversation means: the table at the top of channels/email/connection.py, row by row."""

import time

import pytest

from channels.base import Ambiguous, NotSent, Rejected, SendFailed
from channels.email.connection import SmtpServer
from channels.email.smtp import Smtp
from tests.channels.email.scripted_server import CUT, SILENCE, ScriptedServer, scripted
from tests.channels.messages import mail


def adapter(server: ScriptedServer, **changes: object) -> Smtp:
    values: dict[str, object] = {"host": "127.0.0.1", "port": server.port, "tls": "none", "timeout_s": 0.3}
    return Smtp(SmtpServer(**(values | changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ({"connect": "554 go away"}, NotSent),  # not this message's fault: our address may be on a list
        ({"connect": "421 busy"}, NotSent),
        ({"connect": CUT}, NotSent),
        ({"connect": SILENCE}, NotSent),
        ({"EHLO": "502 no", "HELO": "502 no"}, NotSent),
        ({"MAIL": "451 later"}, NotSent),
        ({"MAIL": "421 closing"}, NotSent),
        ({"MAIL": "530 log in first"}, NotSent),  # a wrong setting must not reject everybody's mail
        ({"MAIL": "550 not this sender"}, Rejected),
        ({"MAIL": CUT}, NotSent),
        ({"MAIL": SILENCE}, NotSent),
        ({"MAIL": "nonsense"}, NotSent),
        ({"RCPT": "450 greylisted"}, NotSent),
        ({"RCPT": "452 too many"}, NotSent),
        ({"RCPT": "454 4.7.1 slower"}, NotSent),
        ({"RCPT": "550 5.1.1 no such user"}, Rejected),
        ({"RCPT": CUT}, NotSent),
        ({"RCPT": SILENCE}, NotSent),
        ({"DATA": "451 later"}, NotSent),
        ({"DATA": "454 throttled"}, NotSent),
        ({"DATA": "554 no"}, Rejected),
        ({"DATA": CUT}, NotSent),
        ({"dot": "451 later"}, NotSent),
        ({"dot": "454 Throttling failure: Maximum sending rate exceeded."}, NotSent),
        ({"dot": "552 too large"}, Rejected),
        ({"dot": "554 spam"}, Rejected),
        ({"dot": "354 what?"}, Ambiguous),
        ({"dot": "nonsense"}, Ambiguous),
        ({"dot": CUT}, Ambiguous),
        ({"dot": SILENCE}, Ambiguous),
    ],
)
async def test_each_end_of_a_conversation_has_one_meaning(script: dict[str, str | list[str]], error: type[SendFailed]) -> None:
    async with scripted(**script) as server:
        smtp = adapter(server)
        with pytest.raises(SendFailed) as failed:
            await smtp.send(mail())
        assert type(failed.value) is error
        assert server.bodies == []
        await smtp.close()


async def test_a_cut_in_the_middle_of_a_large_body_is_certainly_not_sent() -> None:
    async with scripted(body=CUT) as server:
        smtp = adapter(server, timeout_s=5)
        with pytest.raises(NotSent):
            await smtp.send(mail(parts={"html": "<p>" + "x" * 8_000_000}))
        await smtp.close()


async def test_a_server_that_stops_reading_is_left_at_the_deadline_before_the_final_dot() -> None:
    async with scripted(body=SILENCE, DATA=["354 go on"]) as server:
        server._body = lambda _reader: __import__("asyncio").sleep(30)  # type: ignore[method-assign,assignment]
        smtp = adapter(server, timeout_s=5)
        with pytest.raises(NotSent):
            await smtp.send(mail(parts={"html": "<p>" + "x" * 8_000_000}, deadline=time.monotonic() + 0.5))
        await smtp.close()


ABOUT_THE_MAILBOX = [
    "550 Unknown user",  # Exim
    "550 Unrouteable address",
    "550-Verification failed for <ann@example.org>\r\n550-No Such User Here\r\n550 No such user",
    "550 <ann@example.org>: Recipient address rejected: User unknown in relay recipient table",  # Postfix before 2.3
    "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown in local recipient table",  # Postfix
    "550 5.1.1 <ann@example.org>... User unknown",  # Sendmail
    "550 <ann@example.org>... User unknown",
    "550 sorry, no mailbox here by that name. (#5.1.1)",  # qmail
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",  # Exchange
    "550 Requested action not taken: mailbox unavailable",  # RFC 5321's own words
    "550-5.1.1 The email account that you tried to reach does not exist.\r\n550 5.1.1 https://example.com/?p=NoSuchUser",  # Gmail
    "550 5.2.1 The email account that you tried to reach is inactive",
    "551 user not local",
    "551 5.1.6 moved",
    "553 5.1.3 bad address",
    "550 5.1.2 Mailbox does not exist.",  # Stalwart
]
ABOUT_SOMETHING_ELSE = [
    "552 5.2.2 mailbox full",  # full today, empty tomorrow
    "550 5.7.1 blocked by policy",  # says something of us, not of the address
    "550 Administrative prohibition",  # Exim, where its list says no more
    "550 Sender verify failed",
    "550 rejected because 192.0.2.1 is in a black list at zen.example",
    "550 5.1.0 <hello@acme.example>: Sender address rejected: User unknown in virtual mailbox table",  # Postfix, at RCPT
    "550 <hello@acme.example>: Sender address rejected: User unknown in local recipient table",
    "550 5.1.8 <hello@acme.example>: Sender address rejected: Domain not found",
    "553 5.7.1 <hello@acme.example>: Sender address rejected: not owned by user acme",
    "550 5.4.1 Recipient address rejected: Access denied",  # Exchange Online
    "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required",
    "550 Requested action not taken: mailbox unavailable (e.g., mailbox not found, no access, or command rejected for policy reasons)",
    "550 #5.1.0 Address rejected.",  # IronPort, of unknown people and of domains that are not its own
    "550 Invalid recipient: <ann@example.org>",  # OpenSMTPD, of both as well
    "553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)",  # qmail
    "550 no",
]
DOES_NOT_RELAY = [
    "550 relay not permitted",  # Exim
    "554 5.7.1 <ann@example.org>: Relay access denied",  # Postfix
    "550 5.7.1 <ann@example.org>... Relaying denied. Proper authentication required.",  # Sendmail
    "550 5.7.1 Unable to relay",  # Exchange
    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",  # qmail
    "550 5.1.2 Relay not allowed.",  # Stalwart
    "554 Relay rejected for policy reasons.",  # Domino
    "513 Relaying denied.",  # Courier
    "550 Sorry, we do not relay for you",
]


@pytest.mark.parametrize(
    ("answer", "suppress"), [*((answer, True) for answer in ABOUT_THE_MAILBOX), *((answer, False) for answer in ABOUT_SOMETHING_ELSE)]
)
async def test_only_a_refused_mailbox_suppresses_its_address(answer: str, suppress: bool) -> None:
    async with scripted(RCPT=answer) as server:
        smtp = adapter(server)
        with pytest.raises(Rejected) as rejected:
            await smtp.send(mail())
        assert rejected.value.suppress is suppress
        assert "ann@example.org" not in rejected.value.answer
        await smtp.close()


@pytest.mark.parametrize("answer", DOES_NOT_RELAY)
async def test_a_server_that_does_not_relay_for_us_costs_nobody_their_mail(answer: str) -> None:
    async with scripted(RCPT=answer) as server:
        smtp = adapter(server)
        with pytest.raises(NotSent) as failed:
            await smtp.send(mail())
        assert "ann@example.org" not in failed.value.answer
        await smtp.close()


async def test_a_refused_body_does_not_suppress_the_address() -> None:
    async with scripted(dot="550 looks like spam") as server:
        smtp = adapter(server)
        with pytest.raises(Rejected) as rejected:
            await smtp.send(mail())
        assert not rejected.value.suppress
        await smtp.close()


async def test_a_server_without_starttls_gets_nothing_when_starttls_is_asked_for() -> None:
    async with scripted() as server:
        smtp = adapter(server, tls="starttls")
        with pytest.raises(NotSent):
            await smtp.send(mail())
        assert not any(line.startswith("MAIL") for line in server.seen)
        await smtp.close()


async def test_an_address_beyond_ascii_needs_a_server_that_takes_it() -> None:
    async with scripted() as server:
        smtp = adapter(server)
        with pytest.raises(Rejected):
            await smtp.send(mail(address="änn@example.org"))
        await smtp.close()
    async with scripted(EHLO="250-scripted\r\n250 SMTPUTF8") as server:
        smtp = adapter(server)
        await smtp.send(mail(address="änn@example.org"))
        assert "MAIL FROM:<hello@acme.example> SMTPUTF8" in server.seen
        await smtp.close()
