"""A kind of job that counts, for tests: every piece writes one row. Run as a program it is a worker that is killed in a piece.

Arguments: database, Temporal's address, task queue. It prints a line in the middle of the piece that follows the third.
"""

import asyncio
import sys
from datetime import timedelta

from sqlalchemy import text
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities.jobs import runner
from activities.jobs.runner import Jobs
from activities.jobs.work import Chunk, Work
from storage import jobs
from storage.database import Database
from storage.jobs import Job, Progress

_ROW = text("INSERT INTO counted (job, n) VALUES (:job, :n)")


def counting(*, dies_after: int | None = None, pause_s: float = 0.0) -> Chunk:
    """Count to `parameters.upto`, a piece for each number."""

    async def chunk(work: Work, job: Job) -> Progress:
        number, upto = (job.cursor or 0) + 1, job.parameters["upto"]
        progress = Progress(cursor=number, done=number, total=upto, result={"last": number}, is_finished=number == upto)
        async with work.database.transaction() as connection:
            await connection.execute(_ROW, {"job": job.id, "n": number})
            if number - 1 == dies_after:
                print("here", flush=True)  # noqa: T201 - the test waits for this line, and kills
                await asyncio.sleep(3600)
            await jobs.advance(connection, job, progress)
        await asyncio.sleep(pause_s)
        return progress

    return chunk


async def main() -> None:
    runner.HEARTBEAT_S = 0.2
    client = await Client.connect(sys.argv[2], data_converter=pydantic_data_converter)
    work = Work(Database(sys.argv[1]), client, sys.argv[3])
    made = Jobs(work, {"counting": counting(dies_after=3)}, first_backoff=timedelta(0))
    await Worker(client, task_queue=sys.argv[3], activities=made.activities()).run()


if __name__ == "__main__":
    asyncio.run(main())
