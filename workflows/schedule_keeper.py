"""Keeps Temporal's schedules as the journeys that are live say, and wakes what should have struck and did not."""

import asyncio
import time
from datetime import timedelta

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError

from activities.schedule_order import ScheduleOrder
from activities.schedules import strikes
from journeys.language.describe import schedule_words
from journeys.language.errors import Unavailable
from storage import enrollments, schedules
from storage.database import Database
from storage.schedules import Schedule as Live
from workflows.client import RPC_TIMEOUT, is_gone
from workflows.schedule import SCHEDULE
from workflows.schedule_specs import spec_of

log = structlog.get_logger()

EVERY_S = 5.0
COMPARED_EVERY_S = 300.0
WOKEN_EVERY_S = 20.0
OVERDUE = timedelta(seconds=20)
LEFT_ALONE_S = 60.0
# What was missed is known from Postgres: Temporal need not start it again and again.
CATCH_UP = timedelta(minutes=1)
QUEUE = "task_queue"


class ScheduleKeeper:
    """One process's keeper. All of it is idempotent, so several may run."""

    def __init__(self, database: Database, client: Client, task_queue: str) -> None:
        self._database = database
        self._client = client
        self._task_queue = task_queue
        self._compared_at = float("-inf")
        self._woken_at = float("-inf")

    async def run(self, stopping: asyncio.Event) -> None:
        """Look every few seconds until `stopping` is set."""
        while not stopping.is_set():
            try:
                await self.look()
            except (Unavailable, RPCError) as error:
                log.warning("schedules wait for a server", reason=type(error).__name__)
            try:
                await asyncio.wait_for(stopping.wait(), EVERY_S)
            except TimeoutError:
                continue

    async def look(self) -> None:
        """One round: make, change and delete what differs; wake what is overdue; now and then compare with all that Temporal has."""
        if time.monotonic() - self._compared_at > COMPARED_EVERY_S:
            await self.compare()
            self._compared_at = time.monotonic()
        wakes = time.monotonic() - self._woken_at > WOKEN_EVERY_S
        for live in await self._every_one():
            if live.is_gone:
                await self._remove(live)
            elif live.made_from != live.entry_text:
                await self._make(live)
            elif wakes:
                await self._wake(live)
        self._woken_at = time.monotonic() if wakes else self._woken_at

    async def compare(self) -> None:
        """Make again what Temporal has lost, and delete what is of no journey: a restored database, on either side, heals so."""
        there = await self._at_temporal()
        for live in await self._every_one():
            is_there = schedule_id(live.app, live.journey) in there
            there.discard(schedule_id(live.app, live.journey))
            if is_there == (live.made_from is None):
                await self._mark(live, "" if is_there else None)
        for schedule in sorted(there):
            log.warning("deleted a schedule that is of no journey", schedule=schedule)
            await self._delete(schedule)

    async def _every_one(self) -> list[Live]:
        async with self._database.transaction() as connection:
            return await schedules.every_one(connection)

    async def _at_temporal(self) -> set[str]:
        """Our own: another installation may share the namespace, not the task queue."""
        found = set()
        async for each in await self._client.list_schedules():
            if f"/{MARK}/" in each.id and (await each.memo()).get(QUEUE) == self._task_queue:
                found.add(each.id)
        return found

    async def _make(self, live: Live) -> None:
        if live.made_from != "":
            await self._mark(live, "")
        made = self._schedule(live)
        handle = self._handle(live)
        try:
            memo = {QUEUE: self._task_queue}
            await self._client.create_schedule(handle.id, made, memo=memo, rpc_timeout=RPC_TIMEOUT)
        except ScheduleAlreadyRunningError:
            await handle.update(lambda found: _as_before(made, found), rpc_timeout=RPC_TIMEOUT)
        await self._mark(live, live.entry_text)
        log.info("made a schedule", app=live.app, journey=live.journey)

    async def _remove(self, live: Live) -> None:
        if live.made_from is None:
            return
        await self._delete(schedule_id(live.app, live.journey))
        await self._mark(live, None)
        log.info("deleted a schedule", app=live.app, journey=live.journey)

    async def _delete(self, schedule: str) -> None:
        try:
            await self._client.get_schedule_handle(schedule).delete(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if not is_gone(error):
                raise

    async def _wake(self, live: Live) -> None:
        """Temporal skips a time that clocks jump over, and may have been away; a workflow may have been ended by hand."""
        async with self._database.transaction() as connection:
            before = await enrollments.database_now(connection) - OVERDUE
            is_overdue = before > live.struck_until and bool(strikes(live, (), before))
            is_left = await schedules.is_left_alone(connection, live.app, live.journey, LEFT_ALONE_S)
        if not is_overdue and not is_left:
            return
        handle = self._handle(live)
        try:
            # Who pauses a schedule at Temporal means it.
            if not (await handle.describe(rpc_timeout=RPC_TIMEOUT)).schedule.state.paused:
                await handle.trigger(overlap=ScheduleOverlapPolicy.SKIP, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if not is_gone(error):
                raise
            await self._mark(live, "")

    async def _mark(self, live: Live, made_from: str | None) -> None:
        async with self._database.transaction() as connection:
            await schedules.mark_made(connection, live.app, live.journey, made_from)

    def _handle(self, live: Live) -> ScheduleHandle:
        return self._client.get_schedule_handle(schedule_id(live.app, live.journey))

    def _schedule(self, live: Live) -> Schedule:
        name = schedule_id(live.app, live.journey)
        words = schedule_words(live.entry)
        action = ScheduleActionStartWorkflow(
            SCHEDULE, ScheduleOrder(live.app, live.journey), id=name, task_queue=self._task_queue, static_summary=f"{live.journey}: {words}"
        )
        policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP)
        return Schedule(action=action, spec=spec_of(live.entry), policy=policy)


# A journey's name has no $, so no enrollment can have such an id.
MARK = "$schedule"


def schedule_id(app: str, journey: str) -> str:
    return f"{app}/{MARK}/{journey}"


def _as_before(made: Schedule, found: ScheduleUpdateInput) -> ScheduleUpdate:
    """Changed, and paused if it was."""
    made.state = found.description.schedule.state
    return ScheduleUpdate(schedule=made)
