"""Works on one job, piece after piece; after each piece the job's row says where the next begins."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.jobs.order import JobOrder
from activities.jobs.work import Chunk, Work
from journeys.language.errors import Conflict, NotFound, SojournError, Unavailable
from storage import jobs
from storage.jobs import Job

log = structlog.get_logger()

SLICE_S = 20.0
HEARTBEAT_S = 4.0
MOST_FAILURES = 5
_AWAY = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.RESOURCE_EXHAUSTED}


class Jobs:
    """The activity behind every job. `first_backoff` is doubled with each failure of a piece."""

    def __init__(self, work: Work, kinds: Mapping[str, Chunk], *, first_backoff: timedelta = timedelta(seconds=1)) -> None:
        self._work = work
        self._kinds = kinds
        self._first_backoff = first_backoff

    @activity.defn(name="work on job")
    async def work_on(self, order: JobOrder) -> bool:
        """Do pieces for a while; return whether there is more to do. A worker that shuts down ends after the present piece.

        A job whose row is gone (forgotten after its days, or erased with its app) is over.
        """
        until = time.monotonic() + SLICE_S
        beating = asyncio.create_task(_beat())
        try:
            while await self._do_piece(order):
                if time.monotonic() > until or activity.is_worker_shutdown():
                    return True
        finally:
            beating.cancel()
        return False

    async def _do_piece(self, order: JobOrder) -> bool:
        job = await self._job(order)
        if job is None or job.state != "running":
            return False
        try:
            await self._step_on(job)
        except Unavailable:
            raise
        except Exception as error:
            if isinstance(error, RPCError) and error.status in _AWAY:
                raise Unavailable("Temporal does not answer") from error
            return await self._fail(job, error)
        return True

    async def _job(self, order: JobOrder) -> Job | None:
        with suppress(NotFound):
            async with self._work.database.transaction() as connection:
                return await jobs.get(connection, order.app, UUID(order.job_id))
        return None

    async def _step_on(self, job: Job) -> None:
        chunk = self._kinds.get(job.kind)
        if chunk is None:
            raise NotFound(f"this worker knows no jobs of the kind {job.kind}: is it older than the api?")
        progress = await chunk(self._work, job)
        # Another worker may have done the same piece, or the chunk has written it down itself: both are read from the row next.
        with suppress(Conflict):
            async with self._work.database.transaction() as connection:
                await jobs.advance(connection, job, progress)

    async def _fail(self, job: Job, error: Exception) -> bool:
        """Count the failure and let Temporal try again later, or give up: then the row says why. Returns whether there is more to do."""
        words = str(error) if isinstance(error, SojournError) else type(error).__name__
        log.error("a piece of a job failed", app=job.app, job=str(job.id), kind=job.kind, reason=type(error).__name__)
        async with self._work.database.transaction() as connection:
            failure = await jobs.count_failure(connection, job, words, MOST_FAILURES)
        if failure is None or failure.is_final:
            return failure is None
        raise ApplicationError(words, type="PieceFailed", next_retry_delay=self._first_backoff * 2 ** (failure.count - 1)) from error

    def activities(self) -> list[Callable[..., Any]]:
        return [self.work_on]


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT_S)
