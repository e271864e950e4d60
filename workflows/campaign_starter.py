"""Starts the workflows of campaigns' runs, and wakes them when the state of their run has changed."""

from uuid import UUID

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.campaigns.order import RunOrder
from workflows.client import RPC_TIMEOUT

CAMPAIGN_RUN = "campaign run"
LOOK = "look"


class CampaignStarter:
    """The workflows of runs on one server."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def start(self, app: str, run_id: UUID) -> None:
        """Let a worker take up the run; one that goes on already goes on. Raises RPCError."""
        await self._client.start_workflow(
            CAMPAIGN_RUN,
            RunOrder(app, str(run_id)),
            # A journey's name has no $, so no enrollment can have this id.
            id=f"{app}/$campaign/{run_id}",
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"campaign run {run_id}",
            rpc_timeout=RPC_TIMEOUT,
        )

    async def look(self, app: str, run_id: UUID) -> None:
        """Let the run read its row again. One that is over has nothing to hear. Raises RPCError."""
        try:
            await self._client.get_workflow_handle(f"{app}/$campaign/{run_id}").signal(LOOK, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
