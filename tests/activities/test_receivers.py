"""Messages to ends of many owners: one that is dead costs the others nothing (webhooks, functions, browsers)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from activities.breaker import Bounds
from channels.base import Adapter, NotSent, ToReceivers
from channels.custom.function import Asked, FunctionChannel
from channels.push.web_push import WebPush
from channels.webhook.http import Http
from storage import account_states
from storage.direct_sends import DirectSend, plan_direct
from tests.activities.provider import Provider
from tests.activities.several import Several
from tests.activities.town import APP, Town

DEAD = 50
SHUT_BY_ONE = Bounds(failures=1, first_pause_s=3600, longest_pause_s=3600)
SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
AWAY = "503 Service Unavailable\r\nretry-after: 3000"


class Receivers(Provider, ToReceivers):
    """The scripted provider, as many ends."""


@dataclass
class Street:
    """Houses behind one port: the path says how one answers."""

    port: int = 0
    calls: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        self.calls.append(path)
        answer = {"/good": "204 No Content", "/broken": "500 Oops", "/gone": "410 Gone"}.get(path, AWAY)
        writer.write(f"HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        writer.close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


@pytest.fixture
async def street() -> AsyncIterator[Street]:
    street = Street()
    server = await asyncio.start_server(street.serve, "127.0.0.1", 0)
    street.port = server.sockets[0].getsockname()[1]
    async with server:
        yield street


async def plan(town: Town, number: int, channel: str, address: str, parts: dict[str, object]) -> None:
    send = DirectSend(APP, f"r-{number}", channel, "transactional", {"parts": parts}, None, address)
    async with town.database.transaction(APP) as connection:
        await plan_direct(connection, send)


async def test_fifty_dead_receivers_beside_a_good_one_keep_nothing_from_it(town: Town, street: Street) -> None:
    several = Several(town, SHUT_BY_ONE)
    adapter = Http((SECRET,), may_reach_loopback=True)
    several.adapter("hooks", adapter)
    for number in range(DEAD):
        house = street.url("broken") if number % 5 == 0 else street.url("away") if number % 2 else f"http://127.0.0.1:1/{number}"
        await plan(town, number, "webhook", house, {"body": "{}"})
    await several.lane().pass_once()
    for number in range(5):
        await plan(town, DEAD + number, "webhook", street.url("good"), {"body": "{}"})
        await several.lane().pass_once()
    await adapter.close()
    assert street.calls.count("/good") == 5
    states = [row.state for row in await town.rows()]
    assert (states.count("sent"), states.count("unknown"), states.count("planned")) == (5, 10, 40)
    async with town.database.transaction(APP) as connection:
        assert not [state for state in await account_states.of_app(connection, APP) if account_states.is_troubled(state)]


async def test_a_receivers_wish_when_to_come_back_binds_its_own_message(town: Town, street: Street) -> None:
    several = Several(town)
    adapter = Http((SECRET,), may_reach_loopback=True)
    several.adapter("hooks", adapter)
    await plan(town, 1, "webhook", street.url("away"), {"body": "{}"})
    await several.lane().pass_once()
    await adapter.close()
    due = await town.run("SELECT due_at > clock_timestamp() + interval '2900 s' AS is_late FROM open_messages WHERE kind = 'direct'")
    assert [row.is_late for row in due] == [True]


async def test_a_url_that_is_gone_is_called_no_more_and_the_address_that_named_nothing_stays(town: Town, street: Street) -> None:
    """A template names the URL; the endpoint of whoever the message is for has nothing to do with it."""
    several = Several(town)
    adapter = Http((SECRET,), may_reach_loopback=True)
    several.adapter("hooks", adapter)
    own = "https://own.example/hook"
    for number, house in enumerate(["gone", "gone", "good"]):
        await plan(town, number, "webhook", own, {"url": street.url(house), "body": "{}"})
        await several.lane().pass_once()
    await adapter.close()
    assert [(row.state, row.reason) for row in await town.rows()] == [("rejected", "rejected"), ("skipped", "suppressed"), ("sent", None)]
    assert street.calls == ["/gone", "/good"]


async def test_one_function_that_fails_keeps_nothing_from_another(town: Town) -> None:
    async def broken(_asked: Asked) -> str | None:
        raise NotSent("the printer is out of paper")

    async def good(_asked: Asked) -> str | None:
        return "printed"

    several = Several(town, SHUT_BY_ONE)
    several.adapter("own", FunctionChannel({"broken": broken, "good": good}))
    for number, function in enumerate(["broken"] * 5 + ["good"]):
        await plan(town, number, "custom", f"ann-{number}", {"function": function})
        await several.lane().pass_once()
    assert [row.state for row in await town.rows()].count("sent") == 1


async def test_what_a_receiver_does_not_take_goes_through_no_other_account(town: Town) -> None:
    several = Several(town)
    first = Receivers(["throttled"], name="first-hooks", channel="webhook")
    several.adapter("first", first)
    second = several.account("second", channel="webhook", place=2)
    await plan(town, 1, "webhook", "https://example.com/hook", {"body": "{}"})
    await several.lane().pass_once()
    assert (len(first.record), len(second.record)) == (1, 0)


@pytest.mark.parametrize("adapter", [Http, FunctionChannel, WebPush])
def test_adapters_that_write_to_many_ends_say_so(adapter: type[Adapter]) -> None:
    assert issubclass(adapter, ToReceivers)
