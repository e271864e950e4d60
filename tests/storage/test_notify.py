import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from storage.notify import DIRECT, OUTBOX, Notifier


def plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
async def heard(database_url: str) -> AsyncIterator[asyncio.Queue[str]]:
    """The channels on which somebody was woken."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(plain(database_url))
    for channel in (OUTBOX, DIRECT):
        await connection.add_listener(channel, lambda *told: queue.put_nowait(told[2]))
    yield queue
    await connection.close()


@pytest.fixture
async def notifier(database_url: str) -> AsyncIterator[Notifier]:
    notifier = Notifier(database_url)
    yield notifier
    await notifier.close()


async def test_a_thousand_calls_at_once_wake_once(notifier: Notifier, heard: asyncio.Queue[str]) -> None:
    for _ in range(1000):
        notifier()
    assert await asyncio.wait_for(heard.get(), 5) == OUTBOX
    await notifier.close()
    assert heard.empty()


async def test_each_channel_is_woken(notifier: Notifier, heard: asyncio.Queue[str]) -> None:
    notifier()
    notifier(DIRECT)
    assert {await asyncio.wait_for(heard.get(), 5) for _ in range(2)} == {OUTBOX, DIRECT}


async def test_a_lost_connection_is_opened_again(notifier: Notifier, heard: asyncio.Queue[str], database_url: str) -> None:
    notifier()
    await asyncio.wait_for(heard.get(), 5)
    killer = await asyncpg.connect(plain(database_url))
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_notify%' AND pid <> pg_backend_pid()"
    await killer.execute(ended)
    await killer.close()
    await asyncio.sleep(0.05)
    notifier()
    assert await asyncio.wait_for(heard.get(), 10) == OUTBOX


async def test_without_postgres_the_caller_notices_nothing() -> None:
    notifier = Notifier("postgresql+asyncpg://sojourn@127.0.0.1:9/none")
    notifier()
    await asyncio.sleep(0.1)
    await notifier.close()
