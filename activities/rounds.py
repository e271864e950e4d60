"""What a lane does that looks every so often, unasked."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from journeys.language.errors import Unavailable

_log = structlog.get_logger()


async def rounds(one: Callable[[], Awaitable[object]], every_s: float, waits: str) -> None:
    """Do `one` again and again, until cancelled. While Postgres is away it is only told, as `waits`: the next round finds all of it."""
    while True:
        try:
            await one()
        except Unavailable as away:
            _log.warning(waits, reason=str(away))
        await asyncio.sleep(every_s)
