"""The lane that counts for reports: beside the worker, after the fact, and never in the way of what delivers."""

import asyncio
import time

import structlog

from journeys.language.errors import Unavailable
from storage import conversions, report_hours, report_marks
from storage.database import Database
from storage.report_marks import Moment

log = structlog.get_logger()

EVERY_S = 3.0
# Counting takes at most this share of one connection's time, so that many changes make reports older and nothing slower.
REST = 9.0
PIECE = 20


class ReportLane:
    """One process's lane. All of it is safe to repeat, so several may run, and one may die anywhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            began = time.monotonic()
            try:
                await self.catch_up()
            except Unavailable as error:
                log.warning("reports wait for the database", reason=str(error))
            try:
                await asyncio.wait_for(stopping.wait(), max(EVERY_S, REST * (time.monotonic() - began)))
            except TimeoutError:
                continue

    async def catch_up(self) -> None:
        """Mark what changed, count it, and say as of when the counts are."""
        moment = await report_marks.settled_moment(self._database)
        if moment is not None:
            await self.mark(moment)
        while await self.count_some():
            continue
        if moment is not None:
            async with self._database.transaction() as connection:
                await report_marks.counted_until(connection, moment.until)

    async def mark(self, moment: Moment) -> None:
        """Mark the hours that changed before this moment; conversions are looked for in the same transaction."""
        async with self._database.transaction() as connection:
            window = await report_marks.mark(connection, moment)
            if window is not None:
                await conversions.look(connection, window)

    async def count_some(self) -> bool:
        """Count a few of the hours that are due, each in a transaction of its own; False when none is left for us."""
        async with self._database.transaction() as connection:
            wanted = await conversions.goals(connection)
            due = await report_marks.due(connection, PIECE)
        counted = 0
        for app, hour in due:
            async with self._database.transaction() as connection:
                counted += await report_hours.count(connection, app, hour, wanted.get(app, conversions.Goals({})))
        return counted > 0
