"""The way from the API to running workflows: one client, connected when it is first needed, because ingest must start without Temporal."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError

from activities.jobs.by_hand import let_wait_end
from activities.jobs.moving import ask
from activities.move_orders import MOVE, Movable, MoveOrder
from activities.telling import tell
from journeys.language.errors import Conflict, Unavailable
from storage.database import Database
from storage.erasures import Erasure
from storage.interventions import Act
from storage.passages import Passage
from workflows.campaign_starter import CampaignStarter
from workflows.client import connect
from workflows.erasures import forget
from workflows.inputs import Standing
from workflows.job_starter import JobStarter

CONNECT_WITHIN_S = 3.0
QUERY_WITHIN_S = 2.0
FORGET_WITHIN_S = 5.0


_NOT_RUNNING = "its workflow has ended or is only starting: look at the enrollment, then try again"


@dataclass(frozen=True)
class Trying:
    """An activity that did not get through yet: how often it was tried, what came back last, and when it is tried next."""

    tries: int
    said: str
    next_at: datetime | None


class Workflows:
    """What management asks of the workflows of enrollments and jobs."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def start_job(self, app: str, job_id: UUID) -> None:
        """Let a worker take up a job. Raises Unavailable without Temporal."""
        try:
            await JobStarter(self._client, self._task_queue).start(app, job_id)
        except RPCError as error:
            raise Unavailable("Temporal does not answer") from error

    async def look_at_runs(self, app: str, run_ids: Sequence[UUID]) -> None:
        """Start the workflows of runs that begin, and wake those whose state changed. Raises Unavailable without Temporal."""
        starter = CampaignStarter(self._client, self._task_queue)
        with _told():
            for run_id in run_ids:
                await starter.look(app, run_id)

    async def forget(self, erasure: Erasure) -> None:
        """Delete the workflows of a person who was erased. Raises Unavailable when that takes long; a worker does it again."""
        try:
            async with asyncio.timeout(FORGET_WITHIN_S):
                await forget(self._client, erasure)
        except (RPCError, TimeoutError) as error:
            raise Unavailable("Temporal does not answer") from error

    async def advance(self, database: Database, app: str, passage: Passage, act: Act) -> None:
        """Let the wait that is going on end now. Raises Conflict when its workflow does not run, Unavailable without Temporal."""
        with _told():
            if not await let_wait_end(database, self._client, app, passage, act):
                raise Conflict(_NOT_RUNNING)

    async def exit(self, workflow_id: str, reason: str, request_id: str) -> None:
        """End the enrollment. Raises as `advance` does."""
        await self._tell(workflow_id, "exit", reason, request_id)

    async def movable(self, passage: Passage, order: MoveOrder) -> Movable:
        """Ask whether somebody can be moved. Raises Unavailable without Temporal."""
        with _told():
            return await ask(self._client, passage, order)

    async def move(self, passage: Passage, order: MoveOrder) -> None:
        """Move somebody as soon as they wait. Raises as `advance` does."""
        await self._tell(passage.workflow_id, MOVE, order, order.request)

    async def standing(self, workflow_id: str) -> Standing | None:
        """Ask the workflow where it stands; None when it does not answer within two seconds (no worker, no Temporal)."""
        try:
            async with asyncio.timeout(QUERY_WITHIN_S):
                standing: Standing = await self._of(workflow_id).query("standing", result_type=Standing)
                return standing
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, TimeoutError):
            return None

    async def trying(self, workflow_id: str) -> Trying | None:
        """What its activity that is tried again came to last; None when nothing is, or nobody answers within two seconds."""
        try:
            async with asyncio.timeout(QUERY_WITHIN_S):
                description = await self._of(workflow_id).describe()
        except (RPCError, TimeoutError):
            return None
        for each in description.raw_description.pending_activities:
            if each.attempt > 1 and each.HasField("last_failure"):
                has_next = each.HasField("next_attempt_schedule_time")
                next_at = each.next_attempt_schedule_time.ToDatetime(UTC) if has_next else None
                return Trying(each.attempt - 1, each.last_failure.message, next_at)
        return None

    async def _tell(self, workflow_id: str, name: str, argument: object, request_id: str) -> None:
        with _told():
            if not await tell(self._client, workflow_id, name, [argument], request_id):
                raise Conflict(_NOT_RUNNING)

    def _of(self, workflow_id: str) -> WorkflowHandle[object, object]:
        return self._client.get_workflow_handle(workflow_id)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        raise Unavailable("Temporal does not answer") from error


async def _workflows(request: Request) -> Workflows:
    state = request.app.state
    if state.temporal is None:
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                state.temporal = await connect(state.settings.plain_payload_keys)
        except (RuntimeError, TimeoutError) as error:
            raise Unavailable("Temporal does not answer", retry_after_s=5) from error
    return Workflows(state.temporal, state.settings.temporal_task_queue)


async def _workflows_if_there(request: Request) -> Workflows | None:
    try:
        return await _workflows(request)
    except Unavailable:
        return None


RunningWorkflows = Annotated[Workflows, Depends(_workflows)]
WorkflowsIfThere = Annotated[Workflows | None, Depends(_workflows_if_there)]
