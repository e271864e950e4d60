"""The workflow of a run: it has the plan written, lets lanes send what is due, and waits for what is due later."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.campaigns.order import RunOrder, Standing

CAMPAIGN_RUN = "campaign run"
LOOK = "look"
# A killed worker is noticed after this; what it had taken is due again by itself.
SILENT_FOR = timedelta(seconds=10)
ONE_SLICE = timedelta(minutes=15)
UNTIL_IT_ANSWERS = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
# More than workers have hands for wait in the queue: so whoever joins finds work.
SENDERS = 8
_SOON = timedelta(seconds=1)
_LATER = timedelta(minutes=5)


@workflow.defn(name=CAMPAIGN_RUN)
class CampaignRunWorkflow:
    def __init__(self) -> None:
        self._is_told = False

    @workflow.signal(name=LOOK)
    def on_look(self) -> None:
        """The run's row has changed: resumed, stopped, a winner."""
        self._is_told = True

    @workflow.run
    async def run(self, order: RunOrder) -> None:
        await self._do("plan campaign", order)
        while True:
            self._is_told = False
            standing = await self._look(order)
            if standing.state in {"finished", "planning"}:
                return
            if standing.state == "stopped":
                await self._skip_left(order, "stopped")
            elif standing.over_at is not None and standing.over_at <= workflow.now():
                await self._skip_left(order, "expired")
            if standing.state == "stopped" and not standing.chunks:
                return
            if not standing.chunks:
                await self._do("finish campaign", order)
                return
            if standing.state == "running" and standing.due_at is not None and standing.due_at <= workflow.now():
                await self._send(order)
            else:
                await self._wait(standing)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(order)

    async def _send(self, order: RunOrder) -> None:
        queue = f"{workflow.info().task_queue}-bulk"
        sending = [
            workflow.execute_activity(
                "send campaign",
                order,
                task_queue=queue,
                start_to_close_timeout=ONE_SLICE,
                heartbeat_timeout=SILENT_FOR,
                retry_policy=UNTIL_IT_ANSWERS,
            )
            for _ in range(SENDERS)
        ]
        await asyncio.gather(*sending)

    async def _wait(self, standing: Standing) -> None:
        """Until the next chunk is due, but not for long: paused runs, and what a lane holds, are looked at again."""
        until = _until(standing, workflow.now())
        try:
            await workflow.wait_condition(lambda: self._is_told, timeout=until - workflow.now())
        except TimeoutError:
            return

    async def _look(self, order: RunOrder) -> Standing:
        standing: Standing = await workflow.execute_activity(
            "look at campaign", order, result_type=Standing, start_to_close_timeout=timedelta(minutes=1), retry_policy=UNTIL_IT_ANSWERS
        )
        # Histories of before hold the end of time, without a zone, for what waits for a winner.
        return replace(standing, due_at=None) if standing.due_at is not None and standing.due_at.tzinfo is None else standing

    async def _skip_left(self, order: RunOrder, reason: str) -> None:
        await self._do("skip the rest of campaign", order, reason)

    async def _do(self, name: str, *given: Any) -> None:
        await workflow.execute_activity(name, args=given, start_to_close_timeout=ONE_SLICE, retry_policy=UNTIL_IT_ANSWERS)


def _until(standing: Standing, now: datetime) -> datetime:
    if standing.state != "running":
        return now + _LATER
    moments = [moment for moment in (standing.due_at, standing.over_at, now + _LATER) if moment is not None]
    return max(min(moments), now + _SOON)
