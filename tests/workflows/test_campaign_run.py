"""Runs of campaigns on a real Temporal and a real Postgres: planned, sent by several workers together, paused, stopped, put off."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities.campaigns import lanes
from activities.campaigns.order import RunOrder
from journeys.language import days, email, event, hours, seconds
from journeys.language.campaigns import Version, WinnerRule
from storage import campaign_runs, campaign_winners
from storage.campaign_runs import Run
from storage.database import Database
from tests.activities.campaigns.blast import Blast
from tests.activities.town import APP, build
from workflows.campaign_run import ONE_SLICE, SILENT_FOR, CampaignRunWorkflow
from workflows.campaign_starter import CampaignStarter
from workflows.worker import bulk_worker, sandbox

VERSIONS = (Version("plain", 50, email("welcome")), Version("bold", 50, email("welcome")))


@dataclass
class Launch:
    """Where runs of a test run."""

    blast: Blast
    client: Client
    address: str
    queue: str = field(default_factory=lambda: f"test-{uuid4().hex[:12]}")

    @property
    def starter(self) -> CampaignStarter:
        return CampaignStarter(self.client, self.queue)

    async def launch(self, **settings: Any) -> RunOrder:
        order = await self.blast.begin(**settings)
        await self.look(order)
        return order

    async def look(self, order: RunOrder) -> None:
        await self.starter.look(APP, UUID(order.run_id))

    async def until(self, order: RunOrder, holds: Callable[[Run], bool], within_s: float = 60) -> Run:
        async with asyncio.timeout(within_s):
            while True:
                async with self.blast.town.database.transaction() as connection:
                    run = await campaign_runs.get(connection, APP, UUID(order.run_id))
                assert run is not None
                if holds(run):
                    return run
                await asyncio.sleep(0.05)

    async def until_sent(self, order: RunOrder, *, but: str) -> None:
        """Until nothing is left but what belongs to this version."""
        async with asyncio.timeout(60):
            while True:
                async with self.blast.town.database.transaction() as connection:
                    waits = await campaign_runs.waits(connection, APP, UUID(order.run_id))
                if waits and {each.step for each in waits} == {but}:
                    return
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def workers(self, many: int = 1) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for _ in range(many):
                client = await connected(self.address)
                runs = Worker(
                    client,
                    task_queue=self.queue,
                    workflows=[CampaignRunWorkflow],
                    activities=self.blast.runs.activities(),
                    workflow_runner=sandbox(),
                )
                await stack.enter_async_context(runs)
                await stack.enter_async_context(bulk_worker(client, self.queue, self.blast.process()))
            yield


@pytest.fixture
async def launch(database: Database, temporal: str, tmp_path: Path) -> Launch:
    town = await build(database)
    return Launch(Blast(town, tmp_path / "lanes"), await connected(temporal), temporal)


async def connected(address: str) -> Client:
    """As a process has it: two workers of one queue cannot share a connection."""
    return await Client.connect(address, data_converter=pydantic_data_converter)


async def test_several_workers_send_one_run_together_and_end_it(launch: Launch) -> None:
    await launch.blast.add_people(430)
    async with launch.workers(2):
        order = await launch.launch()
        await launch.until(order, lambda run: run.state == "finished")
    assert Counter(launch.blast.town.provider.taken) == Counter(f"p{n}@example.com" for n in range(1, 431))


async def test_a_worker_that_falls_silent_is_noticed_long_before_its_slice_is_over(launch: Launch) -> None:
    """That lanes beat is tests/activities/campaigns/test_meanwhile.py's; they beat often enough for some beats to be lost."""
    await launch.blast.add_people(3)
    async with launch.workers():
        order = await launch.launch()
        await launch.until(order, lambda run: run.state == "finished")
    handle = launch.client.get_workflow_handle(f"{APP}/$campaign/{order.run_id}")
    scheduled = [each.activity_task_scheduled_event_attributes async for each in handle.fetch_history_events()]
    silences = {each.heartbeat_timeout.ToTimedelta() for each in scheduled if each.activity_type.name == "send campaign"}
    assert silences == {SILENT_FOR}
    assert 4 * timedelta(seconds=lanes._LOOK_S) < SILENT_FOR < ONE_SLICE


async def test_a_run_that_is_paused_goes_on_when_it_is_told(launch: Launch) -> None:
    await launch.blast.add_people(300)
    launch.blast.town.provider.is_held = True
    async with launch.workers():
        order = await launch.launch()
        await launch.blast.town.provider.called.wait()
        await launch.blast.change(order, "paused")
        await asyncio.sleep(1)
        launch.blast.town.provider.released.set()
        await asyncio.sleep(1)
        seen = len(launch.blast.town.provider.taken)
        assert seen < 300
        await asyncio.sleep(1)
        assert len(launch.blast.town.provider.taken) == seen
        await launch.blast.change(order, "running")
        await launch.look(order)
        await launch.until(order, lambda run: run.state == "finished")
    assert set(Counter(launch.blast.town.provider.taken).values()) == {1}
    assert await launch.blast.ends() == {("sent", None): 300}


async def test_a_run_that_is_stopped_skips_the_rest(launch: Launch) -> None:
    await launch.blast.add_people(60)
    async with launch.workers():
        order = await launch.launch(local_at="2999-01-01T09:00")
        await launch.until(order, lambda run: run.state == "running")
        await launch.blast.change(order, "stopped")
        await launch.look(order)
        async with asyncio.timeout(30):
            while (await launch.blast.look(order)).chunks:  # noqa: ASYNC110 - another process moves it
                await asyncio.sleep(0.05)
    assert await launch.blast.ends() == {("skipped", "stopped"): 60}


async def test_what_is_put_off_leaves_when_it_is_due(launch: Launch) -> None:
    await launch.blast.add_people(3)
    launch.blast.town.provider.script[:] = ["not_sent", "ok"]
    async with launch.workers():
        order = await launch.launch()
        await launch.until(order, lambda run: run.state == "finished")
    assert await launch.blast.ends() == {("sent", None): 3}


async def test_what_has_not_left_when_its_time_is_over_is_skipped(launch: Launch) -> None:
    await launch.blast.add_people(3)
    launch.blast.town.provider.script[:] = ["not_sent"]
    async with launch.workers():
        order = await launch.launch(lasts={"seconds": 2})
        await launch.until(order, lambda run: run.state == "finished")
    assert await launch.blast.ends() == {("skipped", "expired"): 3}


async def test_a_run_whose_workflow_was_never_started_is_found(launch: Launch) -> None:
    order = await launch.blast.begin()
    async with launch.blast.town.database.transaction() as connection:
        assert await campaign_runs.stalled(connection, timedelta(seconds=10)) == []
        assert await campaign_runs.stalled(connection, timedelta(0)) == [(APP, UUID(order.run_id))]


async def test_who_waits_for_a_winner_gets_it_from_the_workflow_that_waited(launch: Launch) -> None:
    await launch.blast.add_people(60)
    rule = WinnerRule(50, after=hours(1), until=hours(2))
    async with launch.workers():
        order = await launch.launch(message=None, versions=VERSIONS, goal=event("bought").within(days(1)), winner=rule)
        await launch.until_sent(order, but="rest")
        async with launch.blast.town.database.transaction() as connection:
            assert await campaign_winners.decide(connection, APP, UUID(order.run_id), "bold")
        await launch.look(order)
        await launch.until(order, lambda run: run.state == "finished")
    assert await launch.blast.ends() == {("sent", None): 60}


async def test_a_run_is_over_when_its_last_version_has_been_sent(launch: Launch) -> None:
    await launch.blast.add_people(60)
    versions = (Version("now", 50, email("welcome")), Version("later", 50, email("welcome"), after=seconds(4)))
    async with launch.workers():
        order = await launch.launch(message=None, versions=versions)
        await launch.until_sent(order, but="later")
        ended = await launch.until(order, lambda run: run.state == "finished")
    assert await launch.blast.ends() == {("sent", None): 60}
    sent = {row.step: row.first for row in await launch.blast.town.run("SELECT step, min(settled_at) AS first FROM messages GROUP BY step")}
    assert ended.planned_at is not None
    assert sent["now"] - ended.planned_at < timedelta(seconds=4) <= sent["later"] - ended.planned_at + timedelta(seconds=1)


async def test_a_version_whose_time_comes_when_the_run_is_stopped_is_not_sent(launch: Launch) -> None:
    await launch.blast.add_people(40)
    versions = (Version("now", 50, email("welcome")), Version("later", 50, email("welcome"), after=hours(9)))
    async with launch.workers():
        order = await launch.launch(message=None, versions=versions)
        await launch.until_sent(order, but="later")
        await launch.blast.change(order, "stopped")
        await launch.look(order)
        async with asyncio.timeout(30):
            while (await launch.blast.look(order)).chunks:  # noqa: ASYNC110 - another process moves it
                await asyncio.sleep(0.05)
    rows = await launch.blast.town.run("SELECT DISTINCT step, state, reason FROM messages ORDER BY step")
    assert [tuple(row) for row in rows] == [("later", "skipped", "stopped"), ("now", "sent", None)]
