"""Being woken by NOTIFY: one connection of its own, opened again when it is lost."""

import asyncio
from collections.abc import Callable

import asyncpg
import structlog
from sqlalchemy.engine import make_url

log = structlog.get_logger()

RETRY_S = 1.0
CHECK_S = 5.0


async def listen(url: str, channel: str, woken: Callable[[], None], stopping: asyncio.Event) -> None:
    """Call `woken` for each NOTIFY on `channel`, and once after each connect (some may have been missed), until `stopping` is set."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    while not stopping.is_set():
        try:
            connection = await asyncpg.connect(plain, timeout=5, command_timeout=5)
            try:
                await connection.add_listener(channel, lambda *_: woken())
                woken()
                await _stay(connection, stopping)
            finally:
                connection.terminate()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            log.warning("not woken by the database; polling meanwhile", reason=type(error).__name__)
            await _pause(stopping, RETRY_S)


async def _stay(connection: asyncpg.Connection, stopping: asyncio.Event) -> None:
    """A cut connection shows only when it is used, so ask now and then."""
    while not stopping.is_set():
        await _pause(stopping, CHECK_S)
        await connection.execute("SELECT 1")


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
