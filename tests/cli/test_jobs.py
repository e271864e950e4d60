"""`sojourn jobs`, against a served API; a job moves only where the test moves it."""

import asyncio
import json
from uuid import UUID

import pytest
from fastapi import FastAPI

from storage import jobs
from storage.database import Database
from storage.jobs import Job, Progress
from tests.cli.conftest import Command

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
async def job(database: Database, served: FastAPI) -> Job:
    async with database.transaction("demo") as connection:
        return await jobs.create(connection, "demo", "counting", {"upto": 3})


async def move(database: Database, job_id: UUID, done: int) -> None:
    async with database.transaction("demo") as connection:
        now = await jobs.get(connection, "demo", job_id)
        await jobs.advance(connection, now, Progress(cursor=done, done=done, total=3, result={"last": done}, is_finished=done == 3))


async def test_a_job_is_listed_stopped_and_goes_on(sojourn: Command, database: Database, job: Job) -> None:
    await move(database, job.id, 1)
    assert "counting  running  1 of 3" in await sojourn("jobs", "list")
    assert "Stopped at 1 of 3" in await sojourn("jobs", "stop", str(job.id))
    assert "counting is stopped: 1 of 3" in await sojourn("jobs", "show", str(job.id))
    assert "It goes on from 1 of 3" in await sojourn("jobs", "resume", str(job.id))


async def test_a_job_is_watched_to_its_end_and_its_result_printed(sojourn: Command, database: Database, job: Job) -> None:
    watching = asyncio.ensure_future(sojourn("jobs", "watch", str(job.id)))
    for done in (1, 2, 3):
        await asyncio.sleep(0.1)
        await move(database, job.id, done)
    assert json.loads(await watching) == {"last": 3}


async def test_who_watches_a_stopped_or_failed_job_is_told_how_to_go_on(sojourn: Command, database: Database, job: Job) -> None:
    async with database.transaction("demo") as connection:
        await jobs.count_failure(connection, job, "the segment is gone", most=1)
    words = await sojourn("jobs", "watch", str(job.id), code=1)
    assert f"failed after 0: the segment is gone. When that is mended, go on with `sojourn jobs resume {job.id}`" in words
    await sojourn("jobs", "resume", str(job.id))
    await sojourn("jobs", "stop", str(job.id))
    assert f"stopped after 0: go on with `sojourn jobs resume {job.id}`" in await sojourn("jobs", "watch", str(job.id), code=1)


async def test_control_c_stops_watching_and_not_the_job(
    sojourn: Command, database: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.progress.time.sleep", interrupt)
    assert f"stop it with `sojourn jobs stop {job.id}`" in await sojourn("jobs", "watch", str(job.id), code=130)
    async with database.transaction("demo") as connection:
        assert (await jobs.get(connection, "demo", job.id)).state == "running"
