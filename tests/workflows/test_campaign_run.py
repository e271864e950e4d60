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

from activities.campaigns.order import RunOrder
from storage import campaign_runs
from storage.campaign_runs import Run
from storage.database import Database
from tests.activities.campaigns.blast import Blast
from tests.activities.town import APP, build
from workflows.campaign_run import CampaignRunWorkflow
from workflows.campaign_starter import CampaignStarter
from workflows.worker import bulk_worker, sandbox


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
