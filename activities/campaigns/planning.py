"""What a run's workflow asks for beside the sending: its plan, how it stands, and its end."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from temporalio import activity

from activities.campaigns.order import RunOrder, Standing
from activities.campaigns.running import Running
from journeys.language.assign import AppHoldout
from journeys.language.campaigns import REST
from journeys.language.conditions import InSegment
from journeys.language.errors import NotFound
from storage import apps, campaign_plans, campaign_runs, campaign_sends, campaign_winners, segments
from storage.campaign_plans import Audience, Planning, Step
from storage.campaign_runs import Run
from storage.database import Connection, Database

_CHUNKS_AT_ONCE = 50


class CampaignRuns:
    """The activities around a run. One for a process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def activities(self) -> list[Callable[..., Any]]:
        return [self.plan, self.look, self.skip_left, self.finish]

    @activity.defn(name="plan campaign")
    async def plan(self, order: RunOrder) -> None:
        """Write the ledger's rows of everybody, once. Raises Unavailable, and NotFound for a run that is not there."""
        async with self._database.transaction() as connection:
            run = await _run(connection, order)
            if run.state == "planning":
                await campaign_plans.plan(connection, await _planning(connection, Running.of(run)))

    @activity.defn(name="look at campaign")
    async def look(self, order: RunOrder) -> Standing:
        """How the run stands."""
        async with self._database.transaction() as connection:
            run = await _run(connection, order)
            left = await campaign_runs.left(connection, order.app, run.id)
            winner = await campaign_winners.of_run(connection, order.app, run.id)
        return Standing(run.state, left.chunks, left.due_at, Running.of(run, winner).over_at)

    @activity.defn(name="skip the rest of campaign")
    async def skip_left(self, order: RunOrder, reason: str) -> None:
        """Skip what has not left. What a lane has claimed is left to it."""
        gone = 1
        while gone:
            async with self._database.transaction() as connection:
                run = await _run(connection, order)
                gone = await campaign_sends.skip_left(connection, order.app, run.id, reason=reason, most=_CHUNKS_AT_ONCE)
            activity.heartbeat()

    @activity.defn(name="finish campaign")
    async def finish(self, order: RunOrder) -> None:
        async with self._database.transaction() as connection:
            await campaign_runs.change(connection, order.app, UUID(order.run_id), "finished")


async def _run(connection: Connection, order: RunOrder) -> Run:
    run = await campaign_runs.get(connection, order.app, UUID(order.run_id))
    if run is None:
        raise NotFound("no such run")
    return run


async def _planning(connection: Connection, running: Running) -> Planning:
    run, campaign = running.run, running.campaign
    named = await segments.come_to(connection, run.app, InSegment(campaign.segment))
    winner = await campaign_winners.of_run(connection, run.app, run.repeats) if run.repeats else None
    weights, delays = {each.name: float(each.weight) for each in campaign.versions}, campaign.delays
    return Planning(
        app=run.app,
        run_id=run.id,
        campaign=campaign.name,
        audience=Audience(campaign.segment, named, run.repeats, winner),
        steps=[Step(name, weights.get(name, 100.0), each.channel, each.template, delays[name]) for name, each in campaign.messages.items()],
        message_class=campaign.message_class,
        topic=campaign.topic,
        holdout=campaign.holdout,
        app_holdout=await _app_holdout(connection, run.app),
        tested=campaign.winner.tested if campaign.winner else None,
        rest=REST,
        most_people=campaign.most_people,
        by_zone=campaign.local_at is not None,
        chunk=running.chunk,
    )


async def _app_holdout(connection: Connection, app: str) -> AppHoldout | None:
    settings = await apps.settings(connection, app)
    found = settings.get("holdout")
    return AppHoldout(found["percent"], found.get("salt", "")) if found else None
