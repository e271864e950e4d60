"""Imports in a process of its own, which a test kills: `python -m tests.activities.imports.victim URL JOB`. Prints a line a piece."""

import asyncio
import sys
from uuid import UUID

from activities.jobs import importing
from storage import jobs
from storage.database import Database
from tests.activities.imports.runs import one_piece, work_on

ROWS_A_PART = 20


async def main(url: str, job_id: str) -> None:
    importing.ROWS_A_PART = ROWS_A_PART
    database = Database(url)
    async with database.transaction() as connection:
        job = await jobs.get(connection, "demo", UUID(job_id))
    while job.state == "running":
        job = await one_piece(work_on(database), job)
        print(job.done, flush=True)  # noqa: T201 - the test waits for it


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
