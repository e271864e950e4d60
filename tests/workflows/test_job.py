"""Jobs on a real Temporal and a real Postgres: done piece by piece, stopped, resumed, killed, failing, and two at once."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.jobs import runner
from activities.jobs.cores import Cores
from activities.jobs.order import JobOrder
from activities.jobs.runner import MOST_FAILURES, Jobs
from activities.jobs.work import Chunk, Work
from journeys.language.errors import Conflict, NotFound, Refused
from storage import jobs
from storage.database import Database
from storage.jobs import Job, Progress
from tests.workflows.counting import counting
from workflows import job as job_module
from workflows.job import JobWorkflow
from workflows.job_starter import JobStarter, start_the_untouched
from workflows.worker import sandbox


@dataclass
class Bench:
    """Where jobs of a test run."""

    database: Database
    client: Client
    address: str
    queue: str = field(default_factory=lambda: f"test-{uuid4().hex[:12]}")
    cores: Cores = field(default_factory=Cores)

    @property
    def starter(self) -> JobStarter:
        return JobStarter(self.client, self.queue)

    async def begin(self, kind: str = "counting", upto: int = 5) -> UUID:
        async with self.database.transaction("demo") as connection:
            job = await jobs.create(connection, "demo", kind, {"upto": upto})
        await self.starter.start("demo", job.id)
        return job.id

    async def job(self, job_id: UUID) -> Job:
        async with self.database.transaction("demo") as connection:
            return await jobs.get(connection, "demo", job_id)

    async def change(self, how: Callable[..., Awaitable[Job]], job_id: UUID) -> None:
        async with self.database.transaction("demo") as connection:
            await how(connection, "demo", job_id)

    async def until(self, job_id: UUID, holds: Callable[[Job], bool], within_s: float = 40) -> Job:
        async with asyncio.timeout(within_s):
            while not holds(job := await self.job(job_id)):  # noqa: ASYNC110 - another process may move it
                await asyncio.sleep(0.02)
        return job

    async def ended(self, job_id: UUID) -> Job:
        return await self.until(job_id, lambda job: job.state != "running")

    async def counted(self, job_id: UUID) -> list[int]:
        async with self.database.transaction() as connection:
            return list((await connection.execute(text("SELECT n FROM counted WHERE job = :job ORDER BY n"), {"job": job_id})).scalars())

    @asynccontextmanager
    async def worker(self, kinds: Mapping[str, Chunk], *, has_hands: bool = True) -> AsyncIterator[None]:
        made = Jobs(Work(self.database, self.client, self.queue, self.cores), kinds, first_backoff=timedelta(milliseconds=20))
        activities = made.activities() if has_hands else []
        runs = sandbox() if has_hands else UnsandboxedWorkflowRunner()
        async with Worker(self.client, task_queue=self.queue, workflows=[JobWorkflow], activities=activities, workflow_runner=runs):
            yield


@pytest.fixture
async def bench(database: Database, temporal: str) -> Bench:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("CREATE TABLE counted (job uuid, n integer)")
    return Bench(database, await Client.connect(temporal, data_converter=pydantic_data_converter), temporal)


async def test_a_job_is_done_piece_by_piece(bench: Bench) -> None:
    async with bench.worker({"counting": counting()}):
        job = await bench.ended(await bench.begin(upto=5))
    assert (job.state, job.done, job.total, job.result, job.pieces) == ("done", 5, 5, {"last": 5}, 5)
    assert await bench.counted(job.id) == [1, 2, 3, 4, 5]


async def test_a_stopped_job_goes_on_where_it_was(bench: Bench) -> None:
    async with bench.worker({"counting": counting(pause_s=0.05)}):
        job_id = await bench.begin(upto=20)
        await bench.until(job_id, lambda job: job.done >= 3)
        await bench.change(jobs.stop, job_id)
        await asyncio.sleep(0.3)
        stopped = await bench.job(job_id)
        await asyncio.sleep(0.5)
        assert (stopped.state, (await bench.job(job_id)).done) == ("stopped", stopped.done)
        assert await bench.counted(job_id) == list(range(1, stopped.done + 1))
        await bench.change(jobs.resume, job_id)
        await bench.starter.start("demo", job_id)
        assert (await bench.ended(job_id)).state == "done"
    assert await bench.counted(job_id) == list(range(1, 21))


async def test_a_job_is_resumed_before_its_workflow_saw_that_it_was_stopped(bench: Bench) -> None:
    async with bench.worker({"counting": counting(pause_s=0.02)}):
        job_id = await bench.begin(upto=20)
        await bench.change(jobs.stop, job_id)
        await bench.change(jobs.resume, job_id)
        await bench.starter.start("demo", job_id)
        assert (await bench.ended(job_id)).state == "done"
    assert await bench.counted(job_id) == list(range(1, 21))


async def test_a_worker_killed_in_a_piece_loses_only_that_piece(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "SILENT_FOR", timedelta(seconds=1.5))
    monkeypatch.setattr(runner, "HEARTBEAT_S", 0.2)
    url = bench.database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.workflows.counting", url, bench.address, bench.queue]
    async with bench.worker({}, has_hands=False):
        victim = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert victim.stdout is not None
        job_id = await bench.begin(upto=6)
        assert await asyncio.wait_for(victim.stdout.readline(), 30) == b"here\n"
        victim.kill()
        await victim.wait()
        assert await bench.counted(job_id) == [1, 2, 3]
    hands = Jobs(Work(bench.database, bench.client, bench.queue), {"counting": counting()})
    async with (
        bench.worker({}, has_hands=False),
        Worker(bench.client, task_queue=bench.queue, activities=hands.activities()),
    ):
        assert (await bench.ended(job_id)).state == "done"
    assert await bench.counted(job_id) == [1, 2, 3, 4, 5, 6]


class Failing:
    """A kind whose second piece fails until it is mended."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left = times
        self.error = error

    async def __call__(self, _work: Work, job: Job) -> Progress:
        number = (job.cursor or 0) + 1
        if number == 2 and self.left:
            self.left -= 1
            raise self.error
        return Progress(cursor=number, done=number, total=3, is_finished=number == 3)


async def test_a_piece_that_fails_is_tried_again(bench: Bench) -> None:
    async with bench.worker({"failing": Failing(MOST_FAILURES - 1, ValueError("secret words"))}):
        job = await bench.ended(await bench.begin("failing"))
    assert (job.state, job.done, job.error, job.failures) == ("done", 3, None, 0)


async def test_a_piece_that_goes_on_failing_fails_the_job_with_its_reason_and_it_can_be_resumed(bench: Bench) -> None:
    failing = Failing(MOST_FAILURES, Refused("the segment is gone"))
    async with bench.worker({"failing": failing}):
        job = await bench.ended(await bench.begin("failing"))
        assert (job.state, job.done, job.error) == ("failed", 1, "the segment is gone")
        assert failing.left == 0
        await bench.change(jobs.resume, job.id)
        await bench.starter.start("demo", job.id)
        assert (await bench.ended(job.id)).state == "done"


async def test_the_words_of_an_error_that_nobody_expected_are_kept_from_people(bench: Bench) -> None:
    async with bench.worker({"failing": Failing(MOST_FAILURES, ValueError("ann@example.com"))}):
        assert (await bench.ended(await bench.begin("failing"))).error == "ValueError"


async def test_a_kind_that_no_worker_knows_fails_with_words(bench: Bench) -> None:
    async with bench.worker({}):
        job = await bench.ended(await bench.begin("new"))
    assert job.state == "failed"
    assert "knows no jobs of the kind new" in str(job.error)


async def test_a_job_whose_row_is_gone_is_over(bench: Bench) -> None:
    async with bench.worker({"counting": counting()}):
        gone = uuid4()
        await bench.starter.start("demo", gone)
        await asyncio.wait_for(bench.client.get_workflow_handle(f"demo/$job/{gone}").result(), 20)


async def test_two_jobs_go_on_at_once(bench: Bench) -> None:
    async with bench.worker({"counting": counting(pause_s=0.05)}):
        first, second = await bench.begin(upto=10), await bench.begin(upto=10)
        await bench.until(first, lambda job: job.done >= 2)
        await bench.until(second, lambda job: job.done >= 2)
        assert (await bench.job(first)).state == "running"
        assert [(await bench.ended(each)).state for each in (first, second)] == ["done", "done"]
    assert await bench.counted(first) == await bench.counted(second) == list(range(1, 11))


async def test_a_job_whose_start_was_lost_is_started_by_a_worker(bench: Bench) -> None:
    async with bench.database.transaction("demo") as connection:
        job = await jobs.create(connection, "demo", "counting", {"upto": 2})
    async with bench.worker({"counting": counting()}):
        await start_the_untouched(bench.database, bench.starter, timedelta(0))
        assert (await bench.ended(job.id)).state == "done"


async def test_a_piece_is_written_down_once_though_two_workers_did_it(bench: Bench) -> None:
    async with bench.database.transaction("demo") as connection:
        job = await jobs.create(connection, "demo", "counting", {})
        await jobs.advance(connection, job, Progress(cursor=1, done=1))
        with pytest.raises(Conflict):
            await jobs.advance(connection, job, Progress(cursor=1, done=1))
        assert await jobs.count_failure(connection, job, "late", MOST_FAILURES) is None


async def test_what_is_done_cannot_be_stopped_or_resumed_and_another_app_sees_nothing(bench: Bench) -> None:
    async with bench.worker({"counting": counting()}):
        job = await bench.ended(await bench.begin(upto=1))
    for how in (jobs.stop, jobs.resume):
        with pytest.raises(Conflict, match="this job is done already"):
            await bench.change(how, job.id)
    async with bench.database.transaction("other") as connection:
        with pytest.raises(NotFound):
            await jobs.get(connection, "other", job.id)
        unseen: Any = await jobs.page(connection, "demo")
    assert unseen == []


async def test_a_resume_is_not_lost_while_the_workflow_is_ending(bench: Bench) -> None:
    looked: list[str] = []

    @activity.defn(name="work on job")
    async def look(order: JobOrder) -> bool:
        looked.append(order.job_id)
        if len(looked) == 1:
            # The row was found stopped; before the workflow hears of it, somebody resumes the job.
            await bench.starter.start("demo", UUID(order.job_id))
        return False

    async with Worker(bench.client, task_queue=bench.queue, workflows=[JobWorkflow], activities=[look], workflow_runner=sandbox()):
        job_id = uuid4()
        await bench.starter.start("demo", job_id)
        await bench.client.get_workflow_handle(f"demo/$job/{job_id}").result()
    assert looked == [str(job_id)] * 2 or looked == [str(job_id)] * 3
