"""Waking the relay and the lanes: at most one NOTIFY every five milliseconds a process, from a connection of its own.

A NOTIFY inside the transaction that writes would make all commits wait for each other. A lost one costs a poll's delay, no more.
"""

import asyncio
from contextlib import suppress

import asyncpg
import structlog
from sqlalchemy.engine import make_url

OUTBOX = "sojourn_outbox"
DIRECT = "sojourn_direct"
IN_APP = "sojourn_in_app"
INTERVAL_S = 0.005
PAUSE_AFTER_FAILURE_S = 1.0

log = structlog.get_logger()


class Notifier:
    """Call it after a commit: it returns at once, and soon afterwards those who listen on the channel are woken."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._waiting: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None

    def __call__(self, channel: str = OUTBOX) -> None:
        self._waiting.add(channel)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._wake())

    async def close(self) -> None:
        """Send what is waiting, if Postgres answers, and close the connection."""
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, timeout=1)
        await self._forget()

    async def _wake(self) -> None:
        while self._waiting:
            channels, self._waiting = self._waiting, set()
            try:
                await self._notify(channels)
                await asyncio.sleep(INTERVAL_S)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                # Those who listen poll as well, so a request need not fail for it.
                log.warning("notify_failed", error=type(error).__name__)
                await self._forget()
                await asyncio.sleep(PAUSE_AFTER_FAILURE_S)

    async def _notify(self, channels: set[str]) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url, timeout=2, command_timeout=2)
        for channel in channels:
            await self._connection.execute("SELECT pg_notify($1, '')", channel)

    async def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
