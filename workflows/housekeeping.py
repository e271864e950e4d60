"""What has to be done now and then: partitions of the months ahead, and forgetting what was promised to be kept only for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text

from journeys.language.errors import Unavailable
from storage import (
    best_hours,
    direct_sends,
    events,
    files,
    idempotency,
    in_app,
    jobs,
    one_time_codes,
    provider_events,
    reputations,
    sources,
    tracked_links,
    triggered_sends,
)
from storage.database import Connection, Database

log = structlog.get_logger()

EVERY_S = 3600.0
EVENT_IDS_FOR = timedelta(days=30)
ANSWERS_FOR = timedelta(hours=48)
JOBS_FOR = timedelta(days=30)
CODES_FOR = timedelta(days=1)
FILES_FOR = timedelta(days=1)
ACCOUNT_HOURS_FOR = timedelta(days=30)
# Longer than a message may wait for a source.
SOURCE_WAITS_FOR = timedelta(days=4)
LINKS_FOR = timedelta(days=400)
IN_APP_AT_ONCE = 10_000
TALLIED_AT_ONCE = 10_000


async def run(database: Database, stopping: asyncio.Event) -> None:
    """Keep house every hour until `stopping` is set. Several processes may: all of it is safe to repeat."""
    while not stopping.is_set():
        try:
            await keep_house(database)
        except Unavailable as error:
            log.warning("housekeeping waits for the database", reason=str(error))
        try:
            await asyncio.wait_for(stopping.wait(), EVERY_S)
        except TimeoutError:
            continue


async def keep_house(database: Database) -> None:
    """Make the partitions of the next months, count when people read, and forget what is kept for a while.

    Event ids, ended jobs, events of providers and the counts of them go after 30 days, answers to idempotent requests after two,
    one-time codes and files after one; what a caller gave for a direct message, once it is over; since when a message waited for
    a source after four days.
    Where the links of one message led is forgotten after 400 days: then they are unknown. In-app messages go when they are over.
    Of what campaigns on events have sent, only counts are kept once it is over.
    """
    async with database.transaction() as connection:
        await connection.execute(text("SELECT ensure_partitions(3)"))
    async with database.transaction() as connection:
        forgotten = {
            "event_ids": await events.forget_ids(connection, datetime.now(UTC) - EVENT_IDS_FOR),
            "answers": await idempotency.forget(connection, ANSWERS_FOR),
            "jobs": await jobs.forget(connection, JOBS_FOR),
            "files": await files.forget(connection, FILES_FOR),
            "codes": await one_time_codes.forget(connection, CODES_FOR),
            "contents": await direct_sends.forget_over(connection),
            "provider_events": await provider_events.forget(connection),
            "source_waits": await sources.forget_waits(connection, SOURCE_WAITS_FOR),
            "account_hours": await reputations.forget_old(connection, ACCOUNT_HOURS_FOR),
        }
    async with database.transaction() as connection:
        forgotten["links"] = await tracked_links.forget_old(connection, datetime.now(UTC) - LINKS_FOR)
    forgotten["in_app"] = await _in_pieces(database, in_app.forget_expired, IN_APP_AT_ONCE)
    forgotten["triggered_sends"] = await _in_pieces(database, triggered_sends.tally, TALLIED_AT_ONCE)
    async with database.transaction() as connection:
        # What came a minute ago has been committed by now.
        counted = await best_hours.count_everybody(connection, datetime.now(UTC) - timedelta(minutes=1))
    log.info("house kept", forgotten=forgotten, reading_hours_counted=counted)


async def _in_pieces(database: Database, piece: Callable[[Connection, int], Awaitable[int]], at_once: int) -> int:
    """Do so many at a time, so that no transaction takes minutes; how many they were in all."""
    total = 0
    while True:
        async with database.transaction() as connection:
            done = await piece(connection, at_once)
        total += done
        if done < at_once:
            return total
