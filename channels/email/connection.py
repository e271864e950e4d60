"""One SMTP conversation, and what each way of ending it means.

| until                                 | what happened                        | verdict              |
|---------------------------------------|--------------------------------------|----------------------|
| connected, secured, logged in         | anything: not this message's fault   | NotSent              |
| MAIL, RCPT, DATA, body; no final dot  | 4yz, cut, timeout, unreadable answer | NotSent              |
| MAIL, RCPT, DATA                      | 503, 530, 535: order, log in first   | NotSent              |
| RCPT                                  | 5yz: it does not relay for us        | NotSent              |
| MAIL, RCPT, DATA                      | other 5yz                            | Rejected             |
| RCPT                                  | 550, 551, 553 about the mailbox      | Rejected, suppress   |
| the final dot was written             | 2yz                                  | sent                 |
| the final dot was written             | 4yz / 5yz                            | NotSent / Rejected   |
| the final dot was written             | cut, timeout, unreadable answer      | Ambiguous            |

550 without a code of RFC 3463 says anything: the mailbox is unknown, we may not send through this server, our sender or our address is on
a list. It suppresses only where its words name the mailbox, and nothing else: what is not suppressed is asked once more with the next
message, and who is suppressed wrongly gets no receipt any more.
"""

import asyncio
import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import cast

import aiosmtplib
from aiosmtplib import SMTPException, SMTPResponse, SMTPResponseException
from aiosmtplib.protocol import SMTPProtocol

from channels.base import Ambiguous, NotSent, Rejected
from channels.egress import Egress
from channels.email.mime import Mail

START_INPUT = 354
DOT = "final dot"
_MARGIN_S = 0.05
_UNAVAILABLE = 421
_NOT_ABOUT_THE_MAIL = (503, 530, 535)
_MAILBOX_REFUSED = (550, 551, 553)
# RFC 3463: 5.1.x is about the address, 5.2.1 a mailbox that is disabled. 5.7.x (policy) also comes as 550 and says nothing of the address.
# qmail and its like write the code with a # and behind the words.
_ENHANCED = re.compile(r"(?:^\s*|#)(5\.\d{1,3}\.\d{1,3})\b")
_DISABLED = "5.2.1"
_SENDERS_ADDRESS = ("5.1.7", "5.1.8")
_UNSPECIFIC = ("", "5.1.0")
# Exim, Postfix, Sendmail, Exchange, qmail and Stalwart (as 5.1.2) to who has not logged in, or comes from an address they do not know.
_DOES_NOT_RELAY = re.compile(
    r"\brelay(ing)?( access| mail| traffic)?( is)? (denied|prohibited|rejected|refused|forbidden|not (permitted|allowed|authori[sz]ed))\b"
    r"|\b(not|unable|cannot|refuses?|unauthori[sz]ed)( allowed| permitted| authori[sz]ed)?( to)? relay\b"
    r"|\brcpthosts\b"
)
_NAMES_THE_MAILBOX = re.compile(
    r"\b(no such|unknown|unrouteable) (local )?(user|recipient|mailbox|address|account|person)\b"
    r"|\bno mailbox\b"
    r"|\b(user|recipient|mailbox|address|account)\b.{0,60}?\b"
    r"(unknown|unavailable|inactive|disabled|suspended|closed|no longer|not (found|known|local|exist)|doesn't (exist|have))\b"
)
# Postfix refuses senders at RCPT too, as unknown users; "invalid recipient" is what OpenSMTPD says both of these and of relaying.
_NAMES_SOMETHING_ELSE = re.compile(
    r"\b(relay(?! recipient)|sender|from|client|helo|authenticat|polic|denied|prohibit"
    r"|spam|block|black|ban|spf\b|dkim|dmarc|reputation|rate\b)"
)
_ADDRESS_IN_ANSWER = re.compile(r"<?[^\s<>]+@[^\s<>]+>?")


@dataclass(frozen=True)
class SmtpServer:
    """Where mail goes. `tls`: starttls (a server without it gets nothing), tls (from the first byte) or none.

    `timeout_s` is for each answer; up to the final dot the claim's deadline bounds it further.
    """

    host: str
    port: int
    username: str = ""
    password: str = ""
    tls: str = "starttls"
    connections: int = 10
    timeout_s: float = 10.0

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port}, tls={self.tls})"


class Gone(NotSent):
    """The server closed a connection that had been used before, and nothing was sent: a fresh one is worth a try at once."""


class Connection:
    """One open connection. Not to be used again once `is_open` is false; `close` may be called at any time.

    With `egress` it goes only where that lets it.
    """

    def __init__(self, server: SmtpServer, context: ssl.SSLContext | None, egress: Egress | None = None) -> None:
        self._server = server
        self._egress = egress
        self._client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username or None,
            password=server.password or None,
            # The name of this machine would be asked of the resolver, which may take seconds and tells nobody anything.
            local_hostname="[127.0.0.1]",
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            tls_context=context,
            timeout=server.timeout_s,
        )
        self.mails = 0
        self.idle_since = time.monotonic()

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    async def open(self, deadline: float) -> None:
        """Connect, secure and log in. Raises NotSent for whatever goes wrong."""
        try:
            async with asyncio.timeout(left(deadline, self._server.timeout_s)):
                if self._egress is None:
                    await self._client.connect()
                else:
                    await self._client.connect(sock=await _socket_to(self._server, self._egress), port=None)
                await self._greet()
        except Rejected as error:
            raise NotSent(f"no connection to the mail server: {error.answer}") from error
        except (SMTPException, OSError, TimeoutError, ValueError) as error:
            self.close()
            raise NotSent(f"no connection to the mail server: {told_of(error)}") from error
        except BaseException:
            self.close()
            raise

    async def _greet(self) -> None:
        """Say EHLO where logging in has not said it already: it also tells what the server can do."""
        if not self._client.is_ehlo_or_helo_needed:
            return
        try:
            await self._client.ehlo()
        except aiosmtplib.SMTPHeloError:
            await self._client.helo()

    async def deliver(self, mail: Mail, deadline: float) -> str:
        """Hand over one mail and return the server's last answer. Raises as the table at the top says."""
        try:
            await self._envelope(mail, deadline)
            protocol = await self._body(mail, deadline)
            return await self._final_answer(protocol)
        except BaseException as error:
            # A refusal leaves the conversation in order; anything else may leave an answer on its way that would be taken for the next one.
            if not (isinstance(error, Rejected) and self.is_open and await self._reset()):
                self.close()
            raise
        finally:
            self.mails += 1
            self.idle_since = time.monotonic()

    def close(self) -> None:
        self._client.close()

    async def quit(self) -> None:
        """Say good-bye, as far as the server still listens."""
        try:
            await self._client.quit(timeout=1)
        except (SMTPException, OSError):
            self.close()

    @property
    def takes_pipelining(self) -> bool:
        """RFC 2920: commands may leave before the answers to those before them have come."""
        return self._client.supports_extension("pipelining")

    def takes(self, mail: Mail) -> bool:
        """Whether the server takes this mail's addresses."""
        return not mail.needs_utf8 or self._client.supports_extension("smtputf8")

    def handed_to(self, protocol: asyncio.Protocol) -> asyncio.WriteTransport:
        """Let another protocol have the open conversation: it reads what comes, and writes to what this returns. Raises NotSent."""
        transport = self._client.transport
        if transport is None or transport.is_closing():
            raise NotSent("the connection was cut")
        transport.set_protocol(protocol)
        # uvloop's transports are no subclasses of asyncio's.
        return cast("asyncio.WriteTransport", transport)

    async def _envelope(self, mail: Mail, deadline: float) -> None:
        if not self.takes(mail):
            raise Rejected("the mail server does not take addresses beyond ASCII")
        options = [b"SMTPUTF8"] if mail.needs_utf8 else []
        await self._ask("MAIL", b"FROM:<%s>" % mail.sender.encode(), *options, deadline=deadline)
        await self._ask("RCPT", b"TO:<%s>" % mail.recipient.encode(), deadline=deadline)
        await self._ask("DATA", deadline=deadline)

    async def _ask(self, verb: str, *words: bytes, deadline: float) -> None:
        try:
            answer = await self._client.execute_command(verb.encode("ascii"), *words, timeout=left(deadline, self._server.timeout_s))
        except SMTPException as error:
            kind = Gone if self.mails and isinstance(error, aiosmtplib.SMTPServerDisconnected) else NotSent
            raise kind(f"{verb}: {told_of(error)}") from error
        judge(verb, answer, START_INPUT if verb == "DATA" else 250, was_used=self.mails > 0)

    async def _body(self, mail: Mail, deadline: float) -> SMTPProtocol:
        """Write all but the final dot, so that until the dot is written nothing can have been sent."""
        protocol = self._client.protocol
        if protocol is None or time.monotonic() >= deadline:
            raise NotSent("the claim ran out, or the connection was cut, before the body")
        try:
            protocol.write(mail.message.replace(b"\r\n.", b"\r\n.."))
            await _flushed(protocol, deadline)
            protocol.write(b".\r\n" if mail.message.endswith(b"\r\n") else b"\r\n.\r\n")
        except (SMTPException, OSError) as error:
            raise NotSent(f"cut before the final dot: {told_of(error)}") from error
        return protocol

    async def _final_answer(self, protocol: SMTPProtocol) -> str:
        try:
            answer = await protocol.read_response(timeout=self._server.timeout_s)
        except SMTPException as error:
            raise Ambiguous(f"no answer after the final dot: {told_of(error)}") from error
        judge(DOT, answer, 250, was_used=False)
        return without_addresses(answer.message)

    async def _reset(self) -> bool:
        try:
            await self._client.rset(timeout=self._server.timeout_s)
        except (SMTPException, OSError):
            return False
        return True


async def _socket_to(server: SmtpServer, egress: Egress) -> socket.socket:
    """Connect to the address that was judged, whatever the name says a moment later."""
    address = await egress.judge_host(server.host, server.port)
    made = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)  # noqa: PLR2004 - IPv4
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (str(address), server.port))
    except BaseException:
        made.close()
        raise
    return made


async def _flushed(protocol: SMTPProtocol, deadline: float) -> None:
    """Wait until the body is with the kernel and let the loop see a connection that was cut meanwhile.

    The library has no public drain; a mail larger than the socket's buffer, to a server that reads slowly, is rare enough to look again
    every few milliseconds.
    """
    await asyncio.sleep(0)
    while (transport := protocol.transport) is not None and not transport.is_closing():
        if time.monotonic() >= deadline:
            raise NotSent("the claim ran out before the final dot")
        if not isinstance(transport, asyncio.WriteTransport) or not transport.get_write_buffer_size():
            return
        await asyncio.sleep(0.005)
    raise NotSent("cut before the final dot")


def judge(stage: str, answer: SMTPResponse, expected: int, *, was_used: bool) -> None:
    told = f"{stage}: {answer.code} {without_addresses(answer.message)}"
    match answer.code // 100:
        case 2 | 3 if answer.code == expected or (expected == 250 and answer.code // 100 == 2):  # noqa: PLR2004 - 2yz is yes
            return
        case 4:
            raise Gone(told) if was_used and answer.code == _UNAVAILABLE else NotSent(told)
        case 5 if stage == DOT or not _is_about_us(stage, answer):
            raise Rejected(told, suppress=_is_about_the_mailbox(stage, answer))
        case _ if stage == DOT:
            raise Ambiguous(told)
        case _:
            raise NotSent(told)


def _is_about_us(stage: str, answer: SMTPResponse) -> bool:
    """A login that is missing, or a machine that the server does not know, must not reject everybody's mail."""
    return answer.code in _NOT_ABOUT_THE_MAIL or (stage == "RCPT" and _DOES_NOT_RELAY.search(_words(answer)) is not None)


def _is_about_the_mailbox(stage: str, answer: SMTPResponse) -> bool:
    if stage != "RCPT" or answer.code not in _MAILBOX_REFUSED:
        return False
    enhanced = _ENHANCED.search(answer.message)
    code = enhanced[1] if enhanced else ""
    if code in _UNSPECIFIC:
        words = _words(answer)
        return _NAMES_THE_MAILBOX.search(words) is not None and _NAMES_SOMETHING_ELSE.search(words) is None
    return code == _DISABLED or (code.startswith("5.1.") and code not in _SENDERS_ADDRESS)


def _words(answer: SMTPResponse) -> str:
    """In small letters and one line; an address may hold any word."""
    return " ".join(without_addresses(answer.message).lower().split())


def left(deadline: float, timeout_s: float) -> float:
    # A little before the deadline, so that it is this code that finds the time over, and can tell that nothing was sent.
    return max(0.001, min(timeout_s, deadline - time.monotonic() - _MARGIN_S))


def told_of(error: BaseException) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {without_addresses(error.message)}"
    return type(error).__name__


def without_addresses(answer: str) -> str:
    """Servers repeat the recipient in their answers; ours go into the ledger and the logs."""
    return _ADDRESS_IN_ANSWER.sub("<address>", answer)
