"""Starts the workflows of runs, tells them that their row has changed, and starts again what lost its own."""

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from activities.campaigns.order import RunOrder
from journeys.language.errors import Unavailable
from storage import campaign_runs
from storage.database import Database
from workflows.campaign_run import CAMPAIGN_RUN, LOOK
from workflows.client import RPC_TIMEOUT

log = structlog.get_logger()

EVERY_S = 5.0
UNTOUCHED_FOR = timedelta(seconds=10)


class CampaignStarter:
    """The workflows of runs on one server."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def look(self, app: str, run_id: UUID) -> None:
        """Let the run's workflow look at its row, whether it runs already or not. Raises RPCError."""
        await self._client.start_workflow(
            CAMPAIGN_RUN,
            RunOrder(app, str(run_id)),
            # A journey's name has no $, so no enrollment can have this id.
            id=f"{app}/$campaign/{run_id}",
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=LOOK,
            static_summary=f"run of a campaign {run_id}",
            rpc_timeout=RPC_TIMEOUT,
        )


async def attend_campaigns(database: Database, starter: CampaignStarter, stopping: asyncio.Event) -> None:
    """Start what says that it runs and has no workflow that has planned it, every few seconds until `stopping` is set."""
    while not stopping.is_set():
        try:
            async with database.transaction() as connection:
                found = await campaign_runs.stalled(connection, UNTOUCHED_FOR)
            for app, run_id in found:
                await starter.look(app, run_id)
        except (Unavailable, RPCError) as error:
            log.warning("campaigns wait for a server", reason=type(error).__name__)
        try:
            await asyncio.wait_for(stopping.wait(), EVERY_S)
        except TimeoutError:
            continue
