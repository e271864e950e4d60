"""From the outbox to Temporal: leased shards, one user's events in order, everything safe to repeat."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram
from temporalio.service import RPCError

from activities.campaigns import on_events
from journeys.language.errors import NotFound, Refused, Unavailable
from journeys.language.facts import EventFact
from storage import enrollments, outbox
from storage.database import Database
from storage.outbox import EntryRequest, OutboxRow
from workflows.client import Enrollments, is_transport
from workflows.entry import Decided, Entry

log = structlog.get_logger()

LEASE_S = 15.0
RENEW_S = 4.0
POLL_S = 1.0
BACKOFF_S = 1.0
PER_SHARD = 50
# More people than there are connections to Postgres: starts and signals wait for Temporal, and hold none.
USERS_AT_ONCE = 64
DECIDED_AT_ONCE = 12
MOST_FAILURES = 5

RELAYED = Counter("sojourn_relayed_total", "Outbox rows told to journeys, or put in quarantine", ["outcome"])
LAG = Histogram("sojourn_relay_lag_seconds", "From acceptance to the end of relaying", buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 300, 3600))


class _LeaseOver(Exception):
    """Our shards may be another relay's by now."""


@dataclass
class _Chain:
    """One user's rows of a pass, in order, and how far it came."""

    rows: list[OutboxRow]
    done: list[OutboxRow] = field(default_factory=list)
    opened: list[tuple[str, UUID]] = field(default_factory=list)
    is_blocked: bool = False


class Relay:
    """One process's relay. `wake` may be set by anybody who knows of new rows; a poll stands behind it.

    `functions` are the registered ones of this process, which it announces to those who publish journeys.
    """

    def __init__(self, database: Database, temporal: Enrollments, entry: Entry, process_id: UUID, *, functions: Sequence[str] = ()) -> None:
        self.wake = asyncio.Event()
        self._database = database
        self._temporal = temporal
        self._entry = entry
        self._process_id = process_id
        self._functions = sorted(functions)
        self._shards: list[int] = []
        self._renewed_at = float("-inf")
        self._deciding = asyncio.Semaphore(DECIDED_AT_ONCE)

    async def run(self, stopping: asyncio.Event) -> None:
        """Relay until `stopping` is set, then give the shards back."""
        while not stopping.is_set():
            self.wake.clear()
            try:
                told, is_blocked = await self.pass_once()
            except Unavailable as error:
                log.warning("relay waits for the database", reason=str(error))
                told, is_blocked = 0, True
            if told == 0 or is_blocked:
                await self._sleep(stopping, BACKOFF_S if is_blocked else POLL_S)
        try:
            async with self._database.transaction() as connection:
                await outbox.release(connection, self._process_id)
        except Unavailable:
            log.warning("shards were not given back; others take them when the lease ends")

    async def pass_once(self) -> tuple[int, bool]:
        """Tell what is due in our shards. Returns how many rows are done, and whether some user has to wait for a server."""
        await self._hold_lease()
        async with self._database.transaction() as connection:
            rows = await outbox.due(connection, self._shards, PER_SHARD)
        if not rows:
            return 0, False
        chains = _by_user(rows)
        gate = asyncio.Semaphore(USERS_AT_ONCE)

        async def follow(chain: _Chain) -> None:
            try:
                async with gate:
                    await self._follow(chain)
            except (Unavailable, _LeaseOver):
                chain.is_blocked = True

        async with asyncio.TaskGroup() as group:
            for chain in chains:
                group.create_task(follow(chain))
        await self._finish(chains)
        return sum(len(chain.done) for chain in chains), any(chain.is_blocked for chain in chains)

    async def _sleep(self, stopping: asyncio.Event, seconds: float) -> None:
        waiters = [asyncio.ensure_future(self.wake.wait()), asyncio.ensure_future(stopping.wait())]
        await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()

    async def _hold_lease(self) -> None:
        if time.monotonic() - self._renewed_at < RENEW_S and self._shards:
            return
        started = time.monotonic()
        async with self._database.transaction() as connection:
            await outbox.announce(connection, self._process_id, self._functions)
            self._shards = await outbox.lease(connection, self._process_id, LEASE_S)
        self._renewed_at = started

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """A process that was stopped, or waited, for longer than its lease must not go on where another relay may be."""
        async with self._deciding:
            if time.monotonic() - self._renewed_at > LEASE_S * 0.8:
                raise _LeaseOver
            yield

    async def _follow(self, chain: _Chain) -> None:
        for row in chain.rows:
            try:
                await self._tell(row, chain)
            except _LeaseOver:
                raise
            except (Unavailable, RPCError) as error:
                if isinstance(error, RPCError) and not is_transport(error):
                    await self._fail(row, chain, error)
                else:
                    chain.is_blocked = True
                    log.warning("relay waits for a server", shard=row.shard, reason=type(error).__name__)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, it stops this user's events only, and is counted
                await self._fail(row, chain, error)
                return
            chain.done.append(row)

    async def _fail(self, row: OutboxRow, chain: _Chain, error: Exception) -> None:
        """Count a failure that is no transport; the fifth puts the row aside, so that the user's later events go on."""
        log.error("an event could not be told", app=row.app, shard=row.shard, seq=row.seq, reason=type(error).__name__)
        async with self._database.transaction() as connection:
            failures = await outbox.count_failure(connection, self._process_id, row)
            if failures >= MOST_FAILURES:
                await outbox.put_in_quarantine(
                    connection, row, f"{type(error).__name__}: {error}" if isinstance(error, Refused) else type(error).__name__
                )
                RELAYED.labels("quarantined").inc()
        chain.is_blocked = failures < MOST_FAILURES

    async def _decide(self, row: OutboxRow, event: EventFact) -> Decided:
        """What it means for journeys, and what campaigns send on it; an event that was told before finds that planned."""
        async with self._turn(), self._database.transaction() as connection:
            if row.enrollment_id is None:
                await on_events.hear(connection, row.app, row.user_id, event)
            return await self._entry.decide(connection, row.app, row.user_id, event, only=row.enrollment_id)

    async def _tell(self, row: OutboxRow, chain: _Chain) -> None:
        if row.kind == "merged":
            await self._end_merged(row)
            return
        if row.request is not None:
            await self._let_in(row, row.request, chain)
            return
        if row.event is None:
            raise NotFound("the event of this outbox row is gone")
        # A second look only when a workflow turned out to be gone: its row is closed, and entry decided again.
        for _ in range(2):
            decided = await self._decide(row, row.event)
            if await self._carry_out(decided, row, chain):
                return

    async def _let_in(self, row: OutboxRow, request: EntryRequest, chain: _Chain) -> None:
        async with self._turn(), self._database.transaction() as connection:
            decided = await self._entry.admit(connection, row.app, row.user_id, request)
        await self._carry_out(decided, row, chain)

    async def _carry_out(self, decided: Decided, row: OutboxRow, chain: _Chain) -> bool:
        """End, start, tell. Returns False when a workflow that should run was gone."""
        for ending in decided.ends:
            await self._temporal.tell(ending.enrollment.workflow_id, ending.event)
        for start in decided.starts:
            await self._temporal.start(start)
            chain.opened.append((row.app, start.enrollment.id))
        is_all_there = True
        for telling in decided.tells:
            if telling.start is not None:
                await self._temporal.start(telling.start, telling.event)
                chain.opened.append((row.app, telling.enrollment.id))
            elif not await self._temporal.tell(telling.enrollment.workflow_id, telling.event):
                is_all_there = False
                async with self._database.transaction() as connection:
                    await enrollments.close(connection, row.app, telling.enrollment.id, "workflow_gone")
        return is_all_there

    async def _end_merged(self, row: OutboxRow) -> None:
        assert row.enrollment_id is not None
        async with self._turn(), self._database.transaction() as connection:
            enrollment = await enrollments.get(connection, row.app, row.enrollment_id)
        await self._temporal.leave(enrollment.workflow_id, "merged", f"merged:{enrollment.id}")

    async def _finish(self, chains: Sequence[_Chain]) -> None:
        """Mark the started ones open and delete what was told, in one transaction: a crash before it only repeats."""
        opened: dict[str, list[UUID]] = {}
        for app, enrollment_id in (pair for chain in chains for pair in chain.opened):
            opened.setdefault(app, []).append(enrollment_id)
        done = [row for chain in chains for row in chain.done]
        async with self._database.transaction() as connection:
            for app, ids in sorted(opened.items()):
                await enrollments.mark_open(connection, app, sorted(ids))
            if done:
                await outbox.delete(connection, self._process_id, done)
        now = time.time()
        for row in done:
            RELAYED.labels("told").inc()
            LAG.observe(max(0.0, now - row.created_at.timestamp()))


def _by_user(rows: Sequence[OutboxRow]) -> list[_Chain]:
    chains: dict[tuple[str, int], _Chain] = {}
    for row in rows:
        chains.setdefault((row.app, row.user_id), _Chain([])).rows.append(row)
    return list(chains.values())
