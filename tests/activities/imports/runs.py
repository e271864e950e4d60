"""Imports and exports as a worker does them, piece by piece, without Temporal."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, cast

from activities.imports.arriving import take_in
from activities.imports.places import Places
from activities.jobs.catalogue import KINDS
from activities.jobs.work import Work
from journeys.language.errors import Conflict
from storage import imports, jobs
from storage.database import Database
from storage.imports import StoredBadRow
from storage.jobs import Job

MOST_BYTES = 100 * 1024 * 1024


def work_on(database: Database, places: Places | None = None) -> Work:
    return Work(database, cast("Any", None), "", places=places or Places(), file_limit=MOST_BYTES)


async def pieces(content: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def uploaded(database: Database, content: bytes) -> str:
    return str((await take_in(database, "demo", pieces(content), name="a file", most_bytes=MOST_BYTES)).id)


async def begun(database: Database, kind: str, parameters: dict[str, Any]) -> Job:
    async with database.transaction("demo") as connection:
        return await jobs.create(connection, "demo", kind, parameters)


async def one_piece(work: Work, job: Job) -> Job:
    """Do the next piece as the runner does."""
    with suppress(Conflict):
        progress = await KINDS[job.kind](work, job)
        async with work.database.transaction() as connection:
            await jobs.advance(connection, job, progress)
    return await look(work.database, job)


async def look(database: Database, job: Job) -> Job:
    async with database.transaction() as connection:
        return await jobs.get(connection, "demo", job.id)


async def to_the_end(work: Work, job: Job, each: Callable[[Job], None] = lambda _job: None) -> Job:
    while job.state == "running":
        job = await one_piece(work, job)
        each(job)
    return job


async def imported(database: Database, content: bytes | str, **order: Any) -> Job:
    """Import a file and give the job at its end."""
    raw = content.encode() if isinstance(content, str) else content
    parameters = {"what": "users", **order, "file": await uploaded(database, raw)}
    return await to_the_end(work_on(database), await begun(database, "import", parameters))


async def bad_rows(database: Database, job: Job) -> list[StoredBadRow]:
    async with database.transaction("demo") as connection:
        return await imports.bad_rows(connection, "demo", job.id, most=100_000)
