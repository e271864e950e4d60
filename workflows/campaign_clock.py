"""Begins runs of campaigns when their time has come, has winners found, and ends campaigns whose last run is over; in every worker.

The time of the next run is a column that changes in the transaction which launches, pauses or stops the campaign, so the two can never
say different things (docs/decisions/0094).
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog
from prometheus_client import Gauge
from temporalio.service import RPCError

from activities.campaigns import life
from activities.campaigns.winners import Winners
from journeys.language.errors import NotFound, Unavailable
from storage import campaign_runs, campaigns
from storage.database import Database
from workflows.campaign_starter import CampaignStarter

log = structlog.get_logger()

EVERY_S = 1.0
AT_ONCE = 100
MESSAGES = Gauge("sojourn_campaign_messages", "Messages of runs that are not over, by what they came to", ["app", "campaign", "state"])
RUNS = Gauge("sojourn_campaign_runs", "Runs of campaigns that are not over", ["app", "campaign", "state"])


class CampaignClock:
    """One process's clock. All of it is safe to repeat, so several may run."""

    def __init__(self, database: Database, starter: CampaignStarter) -> None:
        self._database = database
        self._starter = starter
        self._winners = Winners(database)

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self.look()
            except (Unavailable, RPCError) as error:
                log.warning("campaigns wait for a server", reason=type(error).__name__)
            try:
                await asyncio.wait_for(stopping.wait(), EVERY_S)
            except TimeoutError:
                continue

    async def look(self) -> None:
        """One round."""
        await self._set_right()
        await self._end()
        await self._begin()
        for app, run_id in await self._winners.look():
            await self._starter.look(app, run_id)
        await self._count()

    async def _begin(self) -> None:
        async with self._database.transaction() as connection:
            due = await campaigns.due(connection, most=AT_ONCE)
        for app, name in due:
            begun = await self._begin_one(app, name)
            for run_id in begun:
                await self._starter.look(app, run_id)

    async def _begin_one(self, app: str, name: str) -> Sequence[UUID]:
        try:
            async with self._database.transaction() as connection:
                return (await life.begin_due(connection, app, name)).begun
        except NotFound:
            # It was deleted since it was listed.
            return ()

    async def _end(self) -> None:
        async with self._database.transaction() as connection:
            for app, name in await campaigns.over(connection, most=AT_ONCE):
                await life.end(connection, app, name)

    async def _set_right(self) -> None:
        """A run that was being planned when its campaign was paused or stopped could not be, then."""
        async with self._database.transaction() as connection:
            astray = await campaigns.runs_astray(connection, most=AT_ONCE)
            changed = [(app, run_id) for app, run_id, state in astray if await campaign_runs.change(connection, app, run_id, state)]
        for app, run_id in changed:
            await self._starter.look(app, run_id)

    async def _count(self) -> None:
        async with self._database.transaction() as connection:
            counts = await campaigns.open_counts(connection)
        for gauge in (MESSAGES, RUNS):
            gauge.clear()
        for each in counts:
            RUNS.labels(each.app, each.campaign, each.run_state).set(each.runs)
            for state, messages in each.messages.items():
                MESSAGES.labels(each.app, each.campaign, state).set(messages)
