"""Call out of a journey: at least once, with one key for every try of a visit, and one verdict in the end.

What hangs holds a turn of its own destination, never the slots of others; an exit cancels it where it stands.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.errands import CallOrder
from activities.exits import ConditionsHold, has_ended
from activities.functions.call import Failed, Function, FunctionCall, NotNow
from activities.knowledge import facts_for
from activities.sending import Timing
from channels.base import Ambiguous, NotSent, Rejected
from channels.calls import Caller, Request, as_object
from journeys.language import steps
from journeys.language.facts import Facts
from journeys.language.resolving import headers_of, naming, object_of, resolved, url_of
from journeys.language.verdict import CallVerdict
from storage import enrollments, held, outcomes, standing
from storage.database import Connection, Database

log = structlog.get_logger()

FIRST_RETRY = timedelta(seconds=2)
MOST_DOUBLINGS = 9
HEARTBEAT_S = 2.0
# Of one destination in one process at a time: a server that hangs for its 30 seconds fills its own places and nobody else's.
TURNS = 16
CROWDED = timedelta(seconds=2)


@dataclass(frozen=True)
class _Ready:
    """What a Call comes to, with every expression read. Exactly one of the two is set."""

    request: Request | None = None
    function: tuple[str, FunctionCall] | None = None

    @property
    def destination(self) -> str:
        return f"function {self.function[0]}" if self.function else (urlsplit(self.request.url).netloc if self.request else "")


class Calls:
    """The hands of every Call. One for a process."""

    def __init__(
        self, database: Database, caller: Caller, functions: Mapping[str, Function], hold: ConditionsHold, timing: Timing | None = None
    ) -> None:
        self._database = database
        self._caller = caller
        self._functions = functions
        self._hold = hold
        self._held_for = (timing or Timing()).held_for
        self._busy: Counter[str] = Counter()

    @activity.defn(name="call")
    async def call(self, order: CallOrder) -> CallVerdict:
        """Make one try. Raises ApplicationError for one that has to be made again."""
        async with _heart_beats():
            ready = await self._prepare(order)
            verdict = ready if isinstance(ready, CallVerdict) else await self._try(ready)
            return verdict if verdict.status in ("held", "exited") else await self._conclude(order, verdict)

    @activity.defn(name="give up call")
    async def give_up(self, order: CallOrder) -> CallVerdict:
        """After 72 hours: failed, unless a try that nobody waited for any more has come back."""
        return await self._conclude(order, CallVerdict("failed", reason="gave_up"))

    def activities(self) -> list[Callable[..., Any]]:
        return [self.call, self.give_up]

    async def _prepare(self, order: CallOrder) -> _Ready | CallVerdict:
        async with self._database.transaction() as connection:
            # The lock that an event takes: an exit that committed before is seen.
            enrolled = await standing.lock_enrolled(connection, order.app, order.enrollment_id)
            if enrolled is None:
                return CallVerdict("exited", reason="exited")
            stored = await outcomes.stored(connection, order.app, order.enrollment_id, order.step, order.visit)
            if stored is not None:
                return _from_json(stored)
            now = await enrollments.database_now(connection)
            enrollment = await enrollments.get(connection, order.app, order.enrollment_id)
            if enrollment.state == "closed" or await has_ended(connection, order, enrolled, self._hold, now):
                return await _write(connection, order, CallVerdict("exited", reason="exited"))
            if await held.hold(connection, order.app, order.enrollment_id, order.journey, order.step, order.visit):
                return CallVerdict("held", reason="paused", until=now + self._held_for)
            facts = naming(
                await facts_for(connection, enrollment, enrolled.person, order.captured, order.action, now), enrolled.person.user_id
            )
        return _ready(order, facts, now)

    async def _try(self, ready: _Ready) -> CallVerdict:
        try:
            async with self._turn(ready.destination):
                return CallVerdict("done", result=await self._result(ready))
        except (NotSent, Ambiguous) as error:
            raise _not_yet(error.answer, getattr(error, "retry_after_s", None)) from error
        except NotNow as error:
            raise _not_yet(error.reason, error.retry_after.total_seconds() if error.retry_after else None) from error
        except (Rejected, Failed) as error:
            return CallVerdict("failed", reason=str(error))

    async def _result(self, ready: _Ready) -> Mapping[str, Any]:
        if ready.request is not None:
            return await self._caller.call(ready.request)
        assert ready.function is not None
        name, asked = ready.function
        function = self._functions.get(name)
        if function is None:
            raise NotNow(f"this worker has no function {name}")
        try:
            return as_object(await function(asked))
        except (NotNow, Failed, Rejected):
            raise
        except Exception as error:
            # A team's code may fail in any way; it is tried again, so that a deploy can mend it, and seen meanwhile.
            log.warning("a function failed", function=name, app=asked.app, step=asked.step, exc_info=error)
            raise NotNow(f"{name} raised {type(error).__name__}") from error

    @asynccontextmanager
    async def _turn(self, destination: str) -> AsyncIterator[None]:
        if self._busy[destination] >= TURNS:
            raise NotNow("many calls to it are under way", CROWDED)
        self._busy[destination] += 1
        try:
            yield
        finally:
            self._busy[destination] -= 1
            if not self._busy[destination]:
                del self._busy[destination]

    async def _conclude(self, order: CallOrder, verdict: CallVerdict) -> CallVerdict:
        async with self._database.transaction() as connection:
            return await _write(connection, order, verdict)


async def _write(connection: Connection, order: CallOrder, verdict: CallVerdict) -> CallVerdict:
    said = {"kind": "called", "status": verdict.status, "result": dict(verdict.result), "reason": verdict.reason}
    return _from_json(await outcomes.write(connection, order.app, order.enrollment_id, order.step, order.visit, said))


def _from_json(stored: Mapping[str, Any]) -> CallVerdict:
    return CallVerdict(stored["status"], result=stored["result"], reason=stored["reason"])


def _ready(order: CallOrder, facts: Facts, now: datetime) -> _Ready | CallVerdict:
    action = order.action
    if isinstance(action, steps.Function):
        return _Ready(function=(action.name, _function_call(order, action, facts, now)))
    url = url_of(action, facts, now)
    if url is None:
        return CallVerdict("failed", reason="no_value_for_url")
    body = None if action.json is None else resolved(action.json, facts, now)
    return _Ready(request=Request(action.method, url, order.idempotency_key, headers_of(action, facts, now), body))


def _function_call(order: CallOrder, action: steps.Function, facts: Facts, now: datetime) -> FunctionCall:
    return FunctionCall(
        app=order.app,
        user_id=facts.attributes["user_id"],
        attributes=facts.attributes,
        entry=facts.entry.properties if facts.entry else {},
        captured={step: event.properties for step, event in order.captured.items()},
        arguments=object_of(action.arguments, facts, now) if action.arguments is not None else {},
        idempotency_key=order.idempotency_key,
        journey=order.journey,
        step=order.step,
    )


@asynccontextmanager
async def _heart_beats() -> AsyncIterator[None]:
    """Tell the server that we live, which is how we hear of a cancellation; a worker that dies is found out within seconds."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT_S)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


def _not_yet(reason: str, retry_after_s: float | None) -> ApplicationError:
    """Let Temporal retry, and show people why in the UI; a time that was named is kept, else backoff."""
    backoff = FIRST_RETRY * 2.0 ** min(activity.info().attempt - 1, MOST_DOUBLINGS)
    named = timedelta(seconds=retry_after_s) if retry_after_s else timedelta(0)
    return ApplicationError(
        reason,
        type="NotYet",
        category=ApplicationErrorCategory.BENIGN,
        next_retry_delay=max(named, backoff) * random.uniform(1.0, 1.25),  # noqa: S311 - spreads those who wait for one server
    )
