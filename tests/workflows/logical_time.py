"""Logical time for enrollments: workflow, database and events share one clock that only moves when the test says so.

A wait of 7 days is passed by the test, not by the machine; how slow the machine is, is not seen. The clock of an enrollment stands at
the last deadline that passed or the last event that arrived, and replays give the same, because both are in the history.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio import activity, workflow
from temporalio.converter import default as default_converter
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

import workflows.journey
from journeys.language.facts import EventFact
from storage.database import Connection, Database
from workflows.inputs import EnrollmentInput
from workflows.journey import JourneyWorkflow

# Timers of the machine end so much later than the logical ones: none ends before the test lets its time pass.
SLACK = timedelta(minutes=30)
_HEADER = "logical-now"
_NOW: ContextVar[datetime | None] = ContextVar("logical_now", default=None)
# A function of the same name in an earlier schema hides the one in pg_catalog, once that is named in the path.
_CLOCK = """
CREATE SCHEMA logical_time;
CREATE FUNCTION logical_time.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
  $$ SELECT coalesce(nullif(current_setting('logical.now', true), '')::timestamptz, pg_catalog.clock_timestamp()) $$;
CREATE FUNCTION logical_time.now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT logical_time.clock_timestamp() $$;
GRANT USAGE ON SCHEMA logical_time TO PUBLIC;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path TO logical_time, pg_catalog, public', current_database()); END $$;
"""
_SET = text("SELECT set_config('logical.now', :now, true)")


class LogicalDatabase(Database):
    """A database whose clock shows the logical time of whoever asks; the real one outside."""

    @asynccontextmanager
    async def transaction(self, app: str | None = None) -> AsyncIterator[Connection]:
        async with super().transaction(app) as connection:
            now = _NOW.get()
            if now is not None:
                await connection.execute(_SET, {"now": now.isoformat()})
            yield connection


async def with_logical_clock(database: Database) -> LogicalDatabase:
    """Give this database the clock, and open it anew."""
    async with database.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        await raw.driver_connection.execute(_CLOCK)  # type: ignore[union-attr]
    return LogicalDatabase(database.engine.url.render_as_string(hide_password=False), pool_size=20, wait_s=20)


@asynccontextmanager
async def at(now: datetime) -> AsyncIterator[None]:
    """What is done inside is done at this logical time."""
    token = _NOW.set(now)
    try:
        yield
    finally:
        _NOW.reset(token)


@dataclass(frozen=True)
class Waiting:
    """A wait that is going on: until when by the logical clock, and when the machine's timer ends."""

    until: datetime
    fires_at: datetime


@dataclass
class Board:
    """Where the enrollments of this process stand, by workflow id."""

    waiting: dict[str, Waiting] = field(default_factory=dict)
    players: dict[str, Any] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    hands: dict[str, list[datetime]] = field(default_factory=dict)
    """When somebody advanced or ended an enrollment by hand, in order."""
    carried: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    """By run id: what a run that continued as new left to the next one."""

    async def settled(self, workflow_id: str) -> Waiting | None:
        """Come back when the enrollment waits, or with None when it has ended."""
        for _ in range(3000):
            if workflow_id in self.ended:
                return None
            if workflow_id in self.waiting:
                return self.waiting[workflow_id]
            await asyncio.sleep(0.01)
        raise AssertionError(f"{workflow_id} neither waits nor has ended")


class _Clock:
    def __init__(self, now: datetime, hands: int) -> None:
        self.now = now
        self.hands = hands

    def pass_to(self, moment: datetime | None) -> None:
        if moment is not None:
            self.now = max(self.now, moment)


def install(patch: pytest.MonkeyPatch, board: Board) -> None:
    """Let journeys of this process live by logical time; they must run without the sandbox."""
    patch.setattr(JourneyWorkflow, "__init__", _beginning(JourneyWorkflow.__init__, board))
    patch.setattr(JourneyWorkflow, "end", _ending(JourneyWorkflow.end, board))
    patch.setattr(workflows.journey, "workflow", _Workflow(board))


def _beginning(original: Callable[..., None], board: Board) -> Callable[..., None]:
    def __init__(self: Any, enrollment: EnrollmentInput) -> None:  # noqa: N807 - it becomes the class's own
        info = workflow.info()
        began = board.carried.get(info.continued_run_id or "", (enrollment.started_at, 0))
        clock = self.clock = _Clock(*began)
        original(self, enrollment)
        player = self._player
        board.players[info.workflow_id] = player
        arrive, advance, leave = player.arrive, player.advance, player.leave

        def by_hand() -> None:
            clock.pass_to(board.hands[info.workflow_id][clock.hands])
            clock.hands += 1

        def on_event(event: EventFact) -> None:
            clock.pass_to(event.received_at)
            arrive(event)

        def on_advance() -> None:
            by_hand()
            advance()

        def on_leave(reason: str) -> None:
            if not reason.startswith("exited: "):
                by_hand()
            leave(reason)

        player.arrive, player.advance, player.leave = on_event, on_advance, on_leave

    vars(__init__).update(vars(original))
    return __init__


def _ending(original: Any, board: Board) -> Any:
    async def end(self: Any, reason: str, *, is_told: bool) -> None:
        await original(self, reason, is_told=is_told)
        board.ended[workflow.info().workflow_id] = reason

    return end


class _Workflow:
    """Stands for the module `temporalio.workflow` in workflows/journey.py, with the logical clock in it."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __getattr__(self, name: str) -> Any:
        return getattr(workflow, name)

    def now(self) -> datetime:
        found: datetime = workflow.instance().clock.now
        return found

    async def wait_condition(self, fn: Callable[[], bool], *, timeout: timedelta | None = None, **named: Any) -> None:  # noqa: ASYNC109
        if timeout is None:
            await workflow.wait_condition(fn)
            return
        clock, name = workflow.instance().clock, workflow.info().workflow_id
        until = clock.now + timeout
        if not workflow.unsafe.is_replaying():
            self._board.waiting[name] = Waiting(until, workflow.now() + timeout + SLACK)
        try:
            await workflow.wait_condition(fn, timeout=timeout + SLACK, **named)
        except TimeoutError:
            clock.pass_to(until)
            self._left(name)
            raise
        self._left(name)

    def _left(self, name: str) -> None:
        """The wait is over. One that is only dropped from the cache does not come here, and goes on."""
        if not workflow.unsafe.is_replaying():
            self._board.waiting.pop(name, None)

    def continue_as_new(self, *given: Any) -> None:
        clock = workflow.instance().clock
        self._board.carried[workflow.info().run_id] = (clock.now, clock.hands)
        workflow.continue_as_new(*given)


class LogicalTime(Interceptor):
    """Activities are told the logical time of their workflow. `beside` runs before each local activity: signals at bad moments."""

    def __init__(self, beside: Callable[[Any], Any]) -> None:
        self._beside = beside

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        beside = self._beside

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
                told = input.headers.get(_HEADER)
                if told is None:
                    return await super().execute_activity(input)
                async with at(datetime.fromisoformat(told.data.decode())):
                    if activity.info().is_local:
                        await beside(input.args[0])
                    return await super().execute_activity(input)

        return Inbound(next)

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002, ARG002
        return _Inbound


class _Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> Any:  # noqa: A002 - Temporal's name
        return super().start_activity(_told(input))

    def start_local_activity(self, input: StartLocalActivityInput) -> Any:  # noqa: A002 - Temporal's name
        return super().start_local_activity(_told(input))


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


def _told(given: Any) -> Any:
    payload = default_converter().payload_converter.to_payloads([None])[0]
    payload.data = workflow.instance().clock.now.astimezone(UTC).isoformat().encode()
    return replace(given, headers={**given.headers, _HEADER: payload})
