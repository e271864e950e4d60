"""Lets Temporal forget the workflows of people who were erased: their histories hold what the journey knew of them."""

import asyncio
from datetime import UTC, datetime

import structlog
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError

from activities.telling import RPC_TIMEOUT, is_gone
from journeys.language.errors import Unavailable
from storage import erasures
from storage.database import Database
from storage.erasures import Erasure
from workflows.client import MEMO

log = structlog.get_logger()

EVERY_S = 10.0
# A relay that was at it may still start a workflow, and a list of workflows may be seconds behind.
SETTLED_S = 120.0


class Erasures:
    """What is left to do after a person was removed from Postgres. All of it may be repeated, so several processes may run it."""

    def __init__(self, database: Database, client: Client, *, settled_s: float = SETTLED_S) -> None:
        self._database = database
        self._client = client
        self._settled_s = settled_s

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self.finish()
            except (Unavailable, RPCError) as error:
                log.warning("erasures wait for a server", reason=type(error).__name__)
            try:
                await asyncio.wait_for(stopping.wait(), EVERY_S)
            except TimeoutError:
                continue

    async def finish(self) -> None:
        """One round: delete what Temporal has of the erased; an erasure is finished when nothing was found after a while."""
        async with self._database.transaction() as connection:
            waiting = await erasures.unfinished(connection)
        for erasure in waiting:
            found = await forget(self._client, erasure)
            is_settled = (datetime.now(UTC) - erasure.requested_at).total_seconds() >= self._settled_s
            if not found and is_settled:
                async with self._database.transaction() as connection:
                    await erasures.finish(connection, erasure)


async def forget(client: Client, erasure: Erasure) -> int:
    """Delete every run of the person's workflows, running ones too. Returns how many there were."""
    runs = {run for workflow_id, enrollment_id in erasure.workflows for run in await _runs(client, workflow_id, enrollment_id)}
    for workflow_id, run_id in sorted(runs):
        await _delete(client, workflow_id, run_id)
    return len(runs)


async def _runs(client: Client, workflow_id: str, enrollment_id: str) -> set[tuple[str, str]]:
    """The runs of this enrollment; a new person of the same id may have a workflow of the same name."""
    quoted = workflow_id.replace("\\", "\\\\").replace("'", "\\'")
    found = {execution.run_id async for execution in client.list_workflows(f"WorkflowId = '{quoted}'")}
    newest = await _described(client, workflow_id, None)
    if newest is not None:
        # The list may not have it yet.
        found.add(newest.run_id)
    return {(workflow_id, run_id) for run_id in found if await _is_of(client, workflow_id, run_id, enrollment_id)}


async def _is_of(client: Client, workflow_id: str, run_id: str, enrollment_id: str) -> bool:
    description = await _described(client, workflow_id, run_id)
    return description is not None and (await description.memo()).get(MEMO) == enrollment_id


async def _described(client: Client, workflow_id: str, run_id: str | None) -> WorkflowExecutionDescription | None:
    try:
        return await client.get_workflow_handle(workflow_id, run_id=run_id).describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if is_gone(error):
            return None
        raise


async def _delete(client: Client, workflow_id: str, run_id: str) -> None:
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution)
    try:
        await client.workflow_service.delete_workflow_execution(request, retry=True, timeout=RPC_TIMEOUT)
    except RPCError as error:
        if not is_gone(error):
            raise
