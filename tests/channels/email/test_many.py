"""Many mails handed over at once by the SMTP adapter: one end each, whatever the server can do."""

import time
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from channels.base import Ambiguous, Content, End, NotSent, Outgoing, Receipt, Rejected
from channels.email.connection import SmtpServer
from channels.email.smtp import Smtp
from tests.channels.email.scripted_server import CUT, scripted

PIPELINING = "250-scripted\r\n250 PIPELINING"


@dataclass
class Seen:
    begun: list[int] = field(default_factory=list)
    ends: dict[int, End] = field(default_factory=dict)

    def begins(self, place: int) -> bool:
        self.begun.append(place)
        return True

    def ended(self, place: int, end: End) -> None:
        self.ends[place] = end


def outgoing(number: int, *, address: str | None = None, within_s: float = 20) -> Outgoing:
    parts = {"subject": f"Mail {number}", "text": "Hello", "from": "us@acme.example"}
    return Outgoing(
        message_id=UUID(int=number + 1),
        app="demo",
        address=address or f"p{number}@example.com",
        content=Content("email", parts),
        message_class="transactional",
        topic=None,
        deadline=time.monotonic() + within_s,
    )


def smtp(port: int, connections: int = 2) -> Smtp:
    return Smtp(SmtpServer("127.0.0.1", port, tls="none", connections=connections))


async def test_each_has_its_own_end_and_the_connection_is_used_again() -> None:
    async with scripted(EHLO=PIPELINING, RCPT=["250 ok", "550 5.1.1 no such user"]) as server:
        adapter, seen = smtp(server.port), Seen()
        ends = await adapter.send_all([outgoing(0), outgoing(1), outgoing(2)], seen)
        assert [type(end) for end in ends] == [Receipt, Rejected, Receipt]
        assert seen.ends == dict(enumerate(ends))
        assert seen.begun == [0, 2]
        await adapter.send_all([outgoing(3)], Seen())
        assert [line for line in server.seen if line.startswith("EHLO")] == ["EHLO [127.0.0.1]"], "one conversation"
        await adapter.close()


async def test_what_cannot_be_a_mail_stops_none_of_the_others() -> None:
    async with scripted(EHLO=PIPELINING) as server:
        adapter, seen = smtp(server.port), Seen()
        ends = await adapter.send_all([outgoing(0, address="no address"), outgoing(1)], seen)
        assert isinstance(ends[0], Rejected)
        assert isinstance(ends[1], Receipt)
        assert (seen.begun, set(seen.ends)) == ([1], {0, 1}), "places are those among all"
        await adapter.close()


async def test_a_connection_that_is_cut_leaves_one_in_doubt_and_the_rest_unsent() -> None:
    async with scripted(EHLO=PIPELINING, dot=["250 taken", CUT]) as server:
        adapter, seen = smtp(server.port), Seen()
        ends = await adapter.send_all([outgoing(n) for n in range(4)], seen)
        assert [type(end) for end in ends] == [Receipt, Ambiguous, NotSent, NotSent]
        assert seen.begun == [0, 1]
        [after] = await adapter.send_all([outgoing(9)], Seen())
        assert not isinstance(after, Ambiguous), "a fresh connection"
        await adapter.close()


async def test_a_server_that_is_away_takes_none() -> None:
    async with scripted(EHLO=PIPELINING) as server:
        port = server.port
    seen = Seen()
    ends = await smtp(port).send_all([outgoing(0), outgoing(1)], seen)
    assert [type(end) for end in ends] == [NotSent, NotSent]
    assert (seen.begun, set(seen.ends)) == ([], {0, 1})


async def test_past_the_deadline_nothing_leaves() -> None:
    async with scripted(EHLO=PIPELINING) as server:
        ends = await smtp(server.port).send_all([outgoing(0, within_s=-1)], Seen())
        assert isinstance(ends[0], NotSent)
        assert server.seen == []


async def test_a_server_without_pipelining_is_written_to_mail_by_mail() -> None:
    async with scripted(EHLO="250 only this") as server:
        adapter, seen = smtp(server.port), Seen()
        ends = await adapter.send_all([outgoing(0), outgoing(1)], seen)
        assert [type(end) for end in ends] == [Receipt, Receipt]
        assert seen.begun == [0, 1]
        assert len(server.bodies) == 2
        await adapter.close()


@pytest.mark.parametrize("greeting", [PIPELINING, "250 only this"])
async def test_a_slow_server_is_written_to_over_several_connections_and_some_stay_free(greeting: str) -> None:
    async with scripted(EHLO=greeting) as server:
        adapter, seen = smtp(server.port, connections=6), Seen()
        server.mail_s = 0.02
        await adapter.send_all([outgoing(n) for n in range(2)], Seen())
        assert server.connections == 1, "nobody knows yet how slow it is"
        ends = await adapter.send_all([outgoing(n) for n in range(2, 42)], seen)
        assert [type(end) for end in ends] == [Receipt] * 40
        assert seen.ends == dict(enumerate(ends))
        assert sorted(seen.begun) == list(range(40))
        at_once = 4 + (greeting != PIPELINING)  # without PIPELINING none is kept
        assert server.connections == at_once
        assert len(server.bodies) == 42
        await adapter.close()


async def test_a_quick_server_is_written_to_over_one() -> None:
    async with scripted(EHLO=PIPELINING) as server:
        adapter = smtp(server.port, connections=6)
        for _ in range(5):
            await adapter.send_all([outgoing(n) for n in range(10)], Seen())
        assert server.connections == 1
        await adapter.close()


async def test_when_one_of_several_connections_is_cut_the_others_go_on() -> None:
    async with scripted(EHLO=PIPELINING) as server:
        adapter, seen = smtp(server.port, connections=6), Seen()
        server.mail_s = 0.02
        await adapter.send_all([outgoing(0)], Seen())
        server.script = {"EHLO": PIPELINING, "dot": [CUT]}
        ends = await adapter.send_all([outgoing(n) for n in range(1, 21)], seen)
        kinds = [type(end) for end in ends]
        assert kinds.count(Ambiguous) == 1
        assert kinds.count(NotSent) == 4, "what was to follow over that one"
        assert kinds.count(Receipt) == 15
        assert seen.ends == dict(enumerate(ends))
        await adapter.close()
