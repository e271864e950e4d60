"""Compares enrollments with workflows and mends both ways, so that nobody is shut out, or kept in, by something done by hand."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from temporalio.client import Client, WorkflowExecutionAsyncIterator, WorkflowExecutionStatus
from temporalio.service import RPCError

from journeys.language.errors import NotFound, SojournError, Unavailable
from storage import enrollments, interventions, messages
from storage.database import Database
from storage.enrollments import Enrollment
from storage.interventions import Act
from storage.standing import source_of
from workflows.client import MEMO, Enrollments, is_gone, is_transport
from workflows.entry import Entry

log = structlog.get_logger()

EVERY_S = 30.0
STALE_STARTING_S = 30.0
SETTLED_S = 300.0
PAGE = 200
LOOK_BACK = timedelta(hours=72)
OVERLAP = timedelta(minutes=10)
FIRST = UUID(int=0)
ABNORMAL = 'ExecutionStatus IN ("Terminated", "Failed", "Canceled", "TimedOut")'


class Reconciler:
    """One process's reconciler. All of it is idempotent, so several may run."""

    def __init__(self, database: Database, client: Client, temporal: Enrollments, entry: Entry) -> None:
        self._database = database
        self._client = client
        self._temporal = temporal
        self._entry = entry
        self._looked_until = datetime.now(UTC) - LOOK_BACK
        self._scanned = FIRST
        self._ran_before: datetime | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self.mend()
            except (Unavailable, RPCError) as error:
                log.warning("reconciler waits for a server", reason=type(error).__name__)
            try:
                await asyncio.wait_for(stopping.wait(), EVERY_S)
            except TimeoutError:
                continue

    async def mend(self) -> None:
        """One round: start what never started, close what ended by hand, look through a page of open rows and running workflows."""
        await self.start_the_unstarted(STALE_STARTING_S)
        await self.close_the_ended()
        await self.look_through(SETTLED_S)
        await self.end_the_unknown(SETTLED_S)

    async def start_the_unstarted(self, after_s: float) -> None:
        """A row that says `starting` for long lost its relay between the two writes: start it again."""
        position = FIRST
        while True:
            async with self._database.transaction() as connection:
                stale = await enrollments.stale_starting(connection, position, after_s, PAGE)
            for enrollment in stale:
                await self._start_or_say(enrollment)
            if len(stale) < PAGE:
                return
            # Those that cannot be started must not stand before those that can.
            position = stale[-1].id

    async def _start_or_say(self, enrollment: Enrollment) -> None:
        try:
            await self._start(enrollment)
        except (SojournError, RPCError) as error:
            if isinstance(error, RPCError) and is_transport(error):
                raise
            log.warning("an enrollment cannot be started", app=enrollment.app, enrollment=str(enrollment.id), reason=type(error).__name__)

    async def _start(self, enrollment: Enrollment) -> None:
        async with self._database.transaction() as connection:
            await enrollments.lock_person(connection, enrollment.app, enrollment.user_id)
            current = await enrollments.get(connection, enrollment.app, enrollment.id)
            start = await self._entry.start_of(connection, current) if current.state == "starting" else None
        if start is not None:
            await self._temporal.start(start)
            async with self._database.transaction() as connection:
                await enrollments.mark_open(connection, enrollment.app, [enrollment.id])

    async def close_the_ended(self) -> None:
        """A workflow that was terminated, cancelled or failed by hand frees its person's place."""
        now = datetime.now(UTC)
        since = (self._looked_until - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")
        async for execution in self._client.list_workflows(f'{ABNORMAL} AND CloseTime > "{since}"'):
            memo = await execution.memo()
            app = execution.typed_search_attributes
            found = next((str(pair.value) for pair in app if pair.key.name == "SojournApp"), None)
            if found is None or MEMO not in memo:
                continue
            reason = (execution.status or WorkflowExecutionStatus.TERMINATED).name.lower()
            await self._close(found, str(memo[MEMO]), reason)
        self._looked_until = now

    async def look_through(self, after_s: float) -> None:
        """The backstop: a page of open rows is compared with their workflows one by one, round after round."""
        async with self._database.transaction() as connection:
            page = await enrollments.open_after(connection, self._scanned, after_s, PAGE)
        self._scanned = page[-1].id if len(page) == PAGE else FIRST
        for enrollment in page:
            status = await self._status(enrollment)
            if status is not WorkflowExecutionStatus.RUNNING:
                await self._close(enrollment.app, str(enrollment.id), "workflow_gone" if status is None else status.name.lower())

    async def _status(self, enrollment: Enrollment) -> WorkflowExecutionStatus | None:
        try:
            return (await self._client.get_workflow_handle(enrollment.workflow_id).describe()).status
        except RPCError as error:
            if is_gone(error):
                return None
            raise

    async def _close(self, app: str, enrollment_id: str, reason: str) -> None:
        async with self._database.transaction() as connection:
            try:
                found = await enrollments.get(connection, app, enrollment_id)
            except NotFound:
                return
            if found.state == "closed":
                return
            # The lock that a claim takes: what is dropped here is not being claimed.
            await enrollments.lock_person(connection, app, found.user_id)
            if await enrollments.close(connection, app, enrollment_id, reason):
                dropped = await messages.drop_planned(connection, app, source_of(enrollment_id), "workflow_gone")
                act = Act("closed", "the reconciler", f"closed:{enrollment_id}")
                await interventions.write(connection, app, enrollment_id, act, detail={"reason": reason, "dropped": dropped})
                log.warning("closed an enrollment whose workflow had ended", app=app, enrollment=enrollment_id, reason=reason)

    async def end_the_unknown(self, after_s: float) -> None:
        """A workflow that runs though its row is closed or gone (a restored database, a row closed by hand) is asked to leave."""
        settled = datetime.now(UTC) - timedelta(seconds=after_s)
        before = min(settled, self._ran_before or settled)
        seen = 0
        async for execution in self._running(before):
            seen += 1
            before = min(before, execution.start_time)
            memo = await execution.memo()
            found = next((str(pair.value) for pair in execution.typed_search_attributes if pair.key.name == "SojournApp"), None)
            if found is None or MEMO not in memo:
                continue
            try:
                async with self._database.transaction() as connection:
                    state = (await enrollments.get(connection, found, str(memo[MEMO]))).state
            except NotFound:
                state = "closed"
            if state == "closed":
                await self._temporal.leave(execution.id, "row_closed", f"row_closed:{memo[MEMO]}")
        # The list comes newest first: the next round looks at the page before this one, and begins again after the last.
        self._ran_before = before if seen == PAGE else None

    def _running(self, before: datetime) -> WorkflowExecutionAsyncIterator:
        """A page of our own enrollments' workflows: another installation may share the namespace, not the task queue."""
        ours = f'WorkflowType = "journey" AND TaskQueue = "{self._temporal.task_queue}" AND ExecutionStatus = "Running"'
        return self._client.list_workflows(f'{ours} AND StartTime < "{before:%Y-%m-%dT%H:%M:%S.%fZ}"', page_size=PAGE, limit=PAGE)
