"""Many mails over one connection: each answer is that of its own mail, whatever became of those before it."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from channels.base import Ambiguous, End, NotSent, Receipt, Rejected
from channels.email.connection import Connection, SmtpServer
from channels.email.mime import Mail
from channels.email.pipeline import HELD, Pipeline
from tests.channels.email.scripted_server import CUT, SILENCE, ScriptedServer, scripted

Script = Mapping[str, str | list[str]]


def mail_of(number: int, *, text: str = "Hello", recipient: str | None = None) -> Mail:
    address = recipient or f"p{number}@example.com"
    body = f"Message-ID: <{number}@acme.example>\r\nSubject: {number}\r\n\r\n{text}\r\n"
    return Mail("us@acme.example", address, body.encode(), not address.isascii())


@dataclass
class Rig:
    server: ScriptedServer
    pipeline: Pipeline
    begun: list[int] = field(default_factory=list)
    ends: dict[int, End] = field(default_factory=dict)
    stops_before: int | None = None

    async def deliver(self, *mails: Mail, within_s: float = 20) -> list[str | End]:
        """The end of each; of a mail that was taken the server's words."""
        ends = await self.pipeline.deliver(mails, time.monotonic() + within_s, self)
        assert [self.ends.pop(place) for place in range(len(mails))] == ends, "the end of each is told as it comes"
        return [end.answer or "" if isinstance(end, Receipt) else end for end in ends]

    def begins(self, place: int) -> bool:
        if place == self.stops_before:
            return False
        self.begun.append(place)
        return True

    def ended(self, place: int, end: End) -> None:
        self.ends[place] = end

    @property
    def taken(self) -> list[str]:
        return [body.partition(b"<")[2].partition(b"@")[0].decode() for body in self.server.bodies]


@asynccontextmanager
async def rig(timeout_s: float = 5.0, **script: str | list[str]) -> AsyncIterator[Rig]:
    async with scripted(**script) as server:
        connection = Connection(SmtpServer("127.0.0.1", server.port, tls="none"), None)
        await connection.open(time.monotonic() + 10)
        found = Rig(server, Pipeline(connection, timeout_s))
        yield found
        found.pipeline.close()


async def test_mails_arrive_in_their_order_and_whole() -> None:
    async with rig() as there:
        mails = [mail_of(0), mail_of(1, text="one\r\n.\r\n..two\r\nMAIL FROM:<x@y.z>"), mail_of(2, text="x\r\n" * 100_000)]
        assert await there.deliver(*mails) == ["taken"] * 3
        assert there.server.bodies == [mail.message for mail in mails]
        assert there.begun == [0, 1, 2]
        assert await there.deliver(mail_of(3)) == ["taken"], "the conversation goes on"


async def test_an_envelope_leaves_before_the_mail_before_it_is_answered() -> None:
    async with rig() as there:
        await there.deliver(mail_of(0), mail_of(1))
        said = [line for line in there.server.seen if not line.startswith(">")]
        assert said == [
            "EHLO [127.0.0.1]",
            *(f"{verb}" for n in range(2) for verb in ("MAIL FROM:<us@acme.example>", f"RCPT TO:<p{n}@example.com>", "DATA")),
        ]


async def test_nothing_to_deliver_says_nothing() -> None:
    async with rig() as there:
        assert await there.deliver() == []
        assert await there.deliver(mail_of(0)) == ["taken"]


async def test_sending_can_be_stopped_between_two_mails() -> None:
    async with rig() as there:
        there.stops_before = 1
        first, second, third = await there.deliver(mail_of(0), mail_of(1), mail_of(2))
        assert first == "taken"
        assert isinstance(second, NotSent)
        assert second.answer == HELD
        assert isinstance(third, NotSent)
        assert there.taken == ["0"]
        assert not there.pipeline.is_open, "the server waits for a body that never comes"


REFUSED: list[tuple[Script, type[Exception], bool]] = [
    ({"RCPT": ["550 5.1.1 no such user"], "DATA": ["503 no recipients"]}, Rejected, True),
    ({"RCPT": ["550 5.1.1 no such user"], "DATA": ["354 go on all the same"], "dot": ["554 no recipients"]}, Rejected, True),
    ({"RCPT": ["451 greylisted"], "DATA": ["503 no recipients"]}, NotSent, False),
    ({"RCPT": ["550 relay not permitted"], "DATA": ["503 no recipients"]}, NotSent, False),
    ({"RCPT": ["550 no"], "DATA": ["503 no recipients"]}, Rejected, False),
    ({"MAIL": ["552 too large"], "RCPT": ["503 mail first"], "DATA": ["503 mail first"]}, Rejected, False),
    ({"DATA": ["451 not now"]}, NotSent, False),
    ({"dot": ["550 looks like spam"]}, Rejected, False),
    ({"dot": ["451 try again"]}, NotSent, False),
]


@pytest.mark.parametrize(("script", "kind", "is_dead"), REFUSED)
async def test_a_refusal_is_of_its_own_mail_and_those_behind_it_arrive(script: Script, kind: type[Exception], *, is_dead: bool) -> None:
    async with rig(5.0, **{stage: list(told) for stage, told in script.items()}) as there:
        refused, *others = await there.deliver(*(mail_of(n) for n in range(3)))
        assert type(refused) is kind
        assert getattr(refused, "suppress", False) is is_dead
        assert others == ["taken"] * 2
        assert there.taken == ["1", "2"]


CUTS: list[tuple[Script, list[type], list[int]]] = [
    ({"MAIL": ["250 ok", CUT]}, [str, NotSent, NotSent], [0]),
    ({"RCPT": CUT}, [NotSent, NotSent, NotSent], []),
    ({"DATA": ["354 go on", CUT]}, [str, NotSent, NotSent], [0]),
    ({"dot": CUT}, [Ambiguous, NotSent, NotSent], [0]),
    ({"body": CUT}, [Ambiguous, NotSent, NotSent], [0]),
    ({"dot": ["250 taken", "what?"]}, [str, Ambiguous, NotSent], [0, 1]),
    ({"RCPT": ["what?"]}, [NotSent, NotSent, NotSent], []),
    ({"MAIL": ["550 not you"], "DATA": ["354 but go on"]}, [Rejected, NotSent, NotSent], []),
]


@pytest.mark.parametrize(("script", "kinds", "begun"), CUTS)
async def test_only_the_mail_whose_body_was_on_its_way_may_have_arrived(script: Script, kinds: list[type], begun: list[int]) -> None:
    async with rig(5.0, **{stage: told if isinstance(told, str) else list(told) for stage, told in script.items()}) as there:
        ends = await there.deliver(*(mail_of(n) for n in range(3)))
        assert [type(end) for end in ends] == kinds
        assert there.begun == begun
        assert not there.pipeline.is_open


async def test_a_server_that_is_silent_is_waited_for_no_longer_than_agreed() -> None:
    async with rig(timeout_s=0.2, dot=SILENCE) as there:
        assert [type(end) for end in await there.deliver(mail_of(0), mail_of(1))] == [Ambiguous, NotSent]
    async with rig(timeout_s=0.2, RCPT=SILENCE) as there:
        assert [type(end) for end in await there.deliver(mail_of(0), mail_of(1))] == [NotSent, NotSent]


async def test_no_body_leaves_after_the_deadline() -> None:
    async with rig() as there:
        assert [type(end) for end in await there.deliver(mail_of(0), within_s=-1)] == [NotSent]
        assert there.server.bodies == []


async def test_an_address_that_the_server_cannot_take_is_left_out_and_the_others_keep_their_places() -> None:
    async with rig() as there:
        ends = await there.deliver(mail_of(0), mail_of(1, recipient="größe@example.com"), mail_of(2))
        assert [type(end) for end in ends] == [str, Rejected, str]
        assert there.begun == [0, 2]
        assert there.taken == ["0", "2"]


async def test_answers_come_in_any_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(MAIL="250-first\r\n250-second\r\n250 ok", dot="250-queued\r\n250 as 4711") as there:
        received = there.pipeline._replies.data_received
        monkeypatch.setattr(there.pipeline._replies, "data_received", lambda data: [received(data[n : n + 1]) for n in range(len(data))])
        assert await there.deliver(mail_of(0), mail_of(1)) == ["queued\nas 4711"] * 2
