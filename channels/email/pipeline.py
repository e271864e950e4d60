"""Many mails over one connection, to a server that takes PIPELINING (RFC 2920): one write and one round trip a mail.

The body of a mail and the envelope of the next leave together, as RFC 2920, 3.1 allows; the server answers in order. What an answer means
is what it means in connection.py. But the final dot leaves in one write with its body: whatever is cut from there on is Ambiguous.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from aiosmtplib import SMTPResponse

from channels.base import Ambiguous, End, NotSent, Receipt, Rejected, Watch
from channels.email.connection import DOT, START_INPUT, Connection, judge, left, without_addresses
from channels.email.mime import Mail

_LONGEST_ANSWER = 64 * 1024
_NO_UTF8 = "the mail server does not take addresses beyond ASCII"
_STAGES = ("MAIL", "RCPT", "DATA")
_UNREADABLE = 0
_YES = 2
HELD = "sending was stopped before the body"
_CUT = "the connection was cut before the mail's turn came"


class Replies(asyncio.Protocol):
    """The answers of a server, in the order in which it gives them."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._ready: deque[SMTPResponse] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.is_over = False

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._lines.append(line.rstrip(b"\r"))
            if line[3:4] != b"-":
                self._ready.append(_answer(self._lines))
                self._lines = []
        # A server that talks on and on says nothing that could be told apart.
        self.is_over = self.is_over or len(self._rest) + sum(map(len, self._lines)) > _LONGEST_ANSWER
        self._wake()

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is the protocol's
        self.is_over = True
        self._wake()

    async def next(self) -> SMTPResponse:
        """Wait for the next answer. Raises ConnectionError where there will be none."""
        while not self._ready:
            if self.is_over:
                raise ConnectionError
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._ready.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Pipeline:
    """One open conversation. What it has given out a verdict of is over; a Pipeline that `is_open` no more is thrown away."""

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        """Take over an open connection. Raises NotSent where it was cut."""
        self._connection = connection
        self._timeout_s = timeout_s
        self._replies = Replies()
        self._transport = connection.handed_to(self._replies)
        self._is_closed = False
        self.mails = 0
        self.idle_since = time.monotonic()
        self.quickest_s: float | None = None
        """The shortest wait for an answer to a mail among those handed over last; None: there was no answer."""

    @property
    def is_open(self) -> bool:
        return not (self._is_closed or self._replies.is_over)

    def close(self) -> None:
        self._is_closed = True
        self._transport.close()

    async def deliver(self, mails: Sequence[Mail], deadline: float, watch: Watch) -> list[End]:
        """Hand over mails in their order; one end each. `watch` is told of a mail just before its body leaves, and of its end."""
        ends: dict[int, End] = {}
        self.quickest_s = None
        for place, mail in enumerate(mails):
            if not self._connection.takes(mail):
                ends[place] = Rejected(_NO_UTF8)
                watch.ended(place, ends[place])
        turns = [place for place in range(len(mails)) if place not in ends]
        envelopes = [_envelope(mails[place]) for place in turns]
        try:
            self._transport.write(b"".join(envelopes[:1]))
            for place, following in zip(turns, [*envelopes[1:], b""], strict=bool(turns)):
                begins = partial(watch.begins, place)
                ends[place] = await self._one(mails[place], following, deadline, begins) if self.is_open else NotSent(_CUT)
                watch.ended(place, ends[place])
        except BaseException:
            self.close()
            raise
        finally:
            self.mails += len(mails)
            self.idle_since = time.monotonic()
        return [ends[place] for place in range(len(mails))]

    async def _one(self, mail: Mail, following: bytes, deadline: float, begins: Callable[[], bool]) -> End:
        """`following` is the envelope of the next mail, which leaves with this one's last bytes."""
        try:
            async with asyncio.timeout(left(deadline, self._timeout_s)):
                answers = [await self._replies.next() for _ in _STAGES]
                if (refusal := _refusal(answers)) is not None:
                    await self._start_anew(answers, following)
                    return refusal
        except (ConnectionError, TimeoutError):
            self.close()
            return NotSent("cut, or silent, before the body")
        if time.monotonic() >= deadline:
            self.close()
            return NotSent("the claim ran out before the body")
        if not begins():
            self.close()
            return NotSent(HELD)
        self._transport.write(_body(mail) + following)
        return await self._final_answer()

    async def _start_anew(self, answers: Sequence[SMTPResponse], following: bytes) -> None:
        """After a refusal: end the transaction, so that the next mail finds none."""
        sender, recipient, data = answers
        if _UNREADABLE in {sender.code, recipient.code, data.code} or (data.code == START_INPUT and recipient.code // 100 == _YES):
            self.close()  # Nobody can say what a dot would send, and to whom.
            return
        self._transport.write((b".\r\n" if data.code == START_INPUT else b"RSET\r\n") + following)
        try:
            await self._replies.next()
        except ConnectionError:
            self.close()

    async def _final_answer(self) -> End:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._replies.next()
            took_s = time.monotonic() - began
            self.quickest_s = took_s if self.quickest_s is None else min(self.quickest_s, took_s)
            judge(DOT, answer, 250, was_used=False)
        except (ConnectionError, TimeoutError):
            self.close()
            return Ambiguous("no answer after the final dot")
        except Ambiguous as end:
            self.close()
            return end
        except (NotSent, Rejected) as end:
            return end
        return Receipt(answer=without_addresses(answer.message)[:200] or None)


def _envelope(mail: Mail) -> bytes:
    options = b" SMTPUTF8" if mail.needs_utf8 else b""
    return b"MAIL FROM:<%s>%s\r\nRCPT TO:<%s>\r\nDATA\r\n" % (mail.sender.encode(), options, mail.recipient.encode())


def _body(mail: Mail) -> bytes:
    """With its dots doubled (RFC 5321, 4.5.2) and the one that ends it."""
    message = mail.message.replace(b"\r\n.", b"\r\n..")
    return message + (b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n")


def _refusal(answers: Sequence[SMTPResponse]) -> NotSent | Rejected | Ambiguous | None:
    """The first answer to an envelope that is no yes."""
    for stage, answer in zip(_STAGES, answers, strict=True):
        try:
            judge(stage, answer, START_INPUT if stage == "DATA" else 250, was_used=False)
        except (NotSent, Rejected, Ambiguous) as end:
            return end
    return None


def _answer(lines: Sequence[bytes]) -> SMTPResponse:
    """What is no answer has a code that no server gives."""
    code = lines[-1][:3]
    text = b"\n".join(line[4:].strip() for line in lines).decode("utf-8", "replace")
    return SMTPResponse(int(code) if code.isdigit() and len(code) == 3 else _UNREADABLE, text)  # noqa: PLR2004 - RFC 5321, 4.2
