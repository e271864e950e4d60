"""Starts the workflows of jobs, and starts again what lost its own: a Temporal that was away, a workflow ended by hand."""

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from activities.jobs.order import JobOrder
from journeys.language.errors import Unavailable
from storage import jobs
from storage.database import Database
from workflows.client import RPC_TIMEOUT
from workflows.job import JOB

log = structlog.get_logger()

EVERY_S = 5.0
UNTOUCHED_FOR = timedelta(seconds=10)


class JobStarter:
    """The workflows of jobs on one server."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def start(self, app: str, job_id: UUID) -> None:
        """Let a worker take up the job; one that runs already goes on. Raises RPCError."""
        await self._client.start_workflow(
            JOB,
            JobOrder(app, str(job_id)),
            # A journey's name has no $, so no enrollment can have this id.
            id=f"{app}/$job/{job_id}",
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            # A workflow that is just ending looks at the row once more, so a resume is never lost between the two.
            start_signal="take up",
            static_summary=f"job {job_id}",
            rpc_timeout=RPC_TIMEOUT,
        )


async def attend(database: Database, starter: JobStarter, stopping: asyncio.Event) -> None:
    """Start what says that it runs and has not moved, every few seconds until `stopping` is set."""
    while not stopping.is_set():
        try:
            await start_the_untouched(database, starter, UNTOUCHED_FOR)
        except (Unavailable, RPCError) as error:
            log.warning("jobs wait for a server", reason=type(error).__name__)
        try:
            await asyncio.wait_for(stopping.wait(), EVERY_S)
        except TimeoutError:
            continue


async def start_the_untouched(database: Database, starter: JobStarter, since: timedelta) -> None:
    async with database.transaction() as connection:
        found = await jobs.untouched(connection, since)
    for app, job_id in found:
        await starter.start(app, job_id)
