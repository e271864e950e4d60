"""A campaign of 100,000 mails of 5 KB by two worker processes, beside the bare loop: same render, MIME and SMTP, no ledger, no rules.

On cores shared by all of it: workers, Postgres, Temporal, SMTP server. Every recipient has a ledger row, and consent, topic, suppression
and a cap are looked at in its claim; each mail has two counted links, a pixel and a way out. The rate is that of sent mails, from the
launch, its plan included, until the last row is settled.

Judged besides: the memory of all workers, how long transactional messages take meanwhile, two worker processes beside one, and what a mail
costs with a hundred times the recipients. SOJOURN_BENCH_GROWN=0, SOJOURN_BENCH_BESIDE_ONE=0 and SOJOURN_BENCH_SWEEP=0 leave parts out.

python -m bench.blast bare PORT MAILS CONNECTIONS is one process of the bare loop; it waits for a line before it begins.
"""

import asyncio
import itertools
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import uvloop
from sqlalchemy import text

from activities.contents import Contents, Filled, variables_of
from activities.tracking import Sent, Tracker
from bench import blasting, harness
from bench.machine import cpu_s, memory_mb
from channels.base import End, Outgoing
from channels.email.connection import SmtpServer
from channels.email.smtp import Smtp
from channels.links import preferences_url, unsubscribe_url
from channels.render import Renderer
from channels.wishes import About
from cli.embedded_postgres import EmbeddedPostgres
from cli.memory import spare_the_collector
from storage.database import Database
from storage.direct_sends import DirectSend, plan_direct
from storage.notify import DIRECT, Notifier
from storage.standing import Person, Standing

PEOPLE = blasting.setting("PEOPLE", 100_000)
ROUNDS = blasting.setting("ROUNDS", 3)
SWEEP = blasting.setting("SWEEP", 10_000)
GROWN = blasting.setting("GROWN", 1_000_000)
"""That many recipients once, and a hundredth of them, to see what grows."""
BESIDE_ONE = blasting.setting("BESIDE_ONE", 20_000)
"""So many recipients by one worker process, and by two."""
CONNECTIONS = 10
PROCESSES = 2
CHUNK = 50
LANES = 12
GOAL = 0.7
MOST_MB = 250.0
LONGEST_S = 1.0
GROWTH = 1.1
_LOOK_S = 0.25
_OURS = "https://acme.example", "a secret of at least 32 characters"


@dataclass(frozen=True)
class Blasts:
    """What the rounds gave: mails a second, ours and of the bare loop, most memory, and the wait of 99 in 100 transactional messages."""

    ours: Sequence[float]
    bare: Sequence[float]
    memory_mb: float
    p99_s: float


@dataclass(frozen=True)
class Growth:
    """Microseconds of CPU a mail, and MB of all workers, with so many recipients."""

    people: int
    cost_us: float
    memory_mb: float


def main() -> None:
    with harness.folder() as place, harness.postgres(place) as server, harness.temporal(place, server) as address:
        os.environ["TEMPORAL_ADDRESS"] = address
        os.environ["SOJOURN_DATABASE_URL"] = server.url
        asyncio.run(_people(server, PEOPLE))
        found = _side_by_side(place, server)
        two = _beside_one(place, server) if BESIDE_ONE else None
        if SWEEP:
            _sweep(place, server)
        grown = _grow(place, server) if GROWN else []
    judge(found, two, grown)


def judge(found: Blasts, two: tuple[float, float] | None, grown: Sequence[Growth]) -> None:
    """A line for each goal. `two`: mails a second of one process, and of two; `grown`: the fewest recipients first."""
    if two:
        harness.report("blast-two-workers", two[1], "mails/s of two worker processes", limit=two[0], goal=1.0)
    else:
        print("one worker process beside two: not measured")
    if grown:
        few, many = grown[0], grown[-1]
        unit = f"with {many.people} recipients, limit: with {few.people}"
        harness.report("blast-growth", many.cost_us, f"us of CPU a mail {unit}", limit=few.cost_us, goal=GROWTH, at_most=True)
        harness.report("blast-memory-growth", many.memory_mb, f"MB in all workers {unit}", limit=few.memory_mb, goal=GROWTH, at_most=True)
    else:
        print("what grows with the recipients: not measured")
    most_mb = max([found.memory_mb, *(each.memory_mb for each in grown)])
    harness.report("blast-memory", most_mb, "MB in all workers", limit=MOST_MB, goal=1.0, at_most=True)
    harness.report("blast-transactional", found.p99_s, "s for 99 in 100 meanwhile", limit=LONGEST_S, goal=1.0, at_most=True)
    harness.report("blast", statistics.median(found.ours), "mails/s", limit=statistics.median(found.bare), goal=GOAL)


async def _people(server: EmbeddedPostgres, people: int) -> None:
    database = Database(server.url)
    await blasting.prepare(database)
    await blasting.fill(database, people)
    await database.close()


def _side_by_side(place: Path, server: EmbeddedPostgres) -> Blasts:
    ours: list[float] = []
    limits: list[float] = []
    memory: list[float] = []
    with blasting.sink(place) as (port, sink), blasting.workers(place, server, port, connections=CONNECTIONS, many=PROCESSES) as pid:
        postgres = server.postmaster_pid()
        for number in range(ROUNDS):
            limit, bare_us = _bare(port, PEOPLE)
            limits.append(limit)
            before = cpu_s(pid), cpu_s(postgres), cpu_s(sink)
            done, used_mb = asyncio.run(_run(server, pid))
            memory.append(used_mb)
            used = [now - was for now, was in zip((cpu_s(pid), cpu_s(postgres), cpu_s(sink)), before, strict=True)]
            ours.append(done.sent / done.lasted_s)
            each = ", ".join(
                f"{name} {seconds / done.sent * 1e6:,.0f}" for name, seconds in zip(("workers", "Postgres", "SMTP"), used, strict=True)
            )
            print(
                f"round {number}: {ours[-1]:,.0f}/s ({done.sent} sent, planned in {done.planned_s:.1f} s), bare {limits[-1]:,.0f}/s; "
                f"microseconds of CPU a mail: {each}, bare loop {bare_us:,.0f}; "
                f"{used_mb:.0f} MB at most in {PROCESSES} workers, {memory_mb(pid):.0f} MB at the end",
                flush=True,
            )
        many, median, p99 = asyncio.run(_waited(server))
        print(
            f"{many} transactional messages meanwhile: {median * 1000:.0f} ms in the middle, {p99 * 1000:.0f} ms at 99 in 100", flush=True
        )
    return Blasts(ours, limits, max(memory), p99)


async def _run(server: EmbeddedPostgres, pid: int, most: int | None = None) -> tuple[blasting.Done, float]:
    """A run, and beside it a transactional message every fifth of a second; and the most memory that the workers had."""
    database = Database(server.url)
    seen_mb: list[float] = []
    beside = [asyncio.create_task(_ask(database, server.url)), asyncio.create_task(_watch(pid, seen_mb))]
    try:
        done = await blasting.run(database, most=most)
        return done, max([*seen_mb, memory_mb(pid)])
    finally:
        for each in beside:
            each.cancel()
        await asyncio.wait(beside)
        await database.close()


async def _watch(pid: int, seen_mb: list[float]) -> None:
    while True:
        await asyncio.sleep(_LOOK_S)
        seen_mb.append(await asyncio.to_thread(memory_mb, pid))


async def _ask(database: Database, url: str) -> None:
    """As POST /v1/messages does it: the row is committed, then lanes are woken."""
    notify = Notifier(url)
    try:
        for number in itertools.count():
            content = {"parts": {"from": "Acme <hello@acme.example>", "subject": "Your order", "text": "It is on its way."}}
            send = DirectSend("demo", f"{time.time()}-{number}", "email", "transactional", content, None, f"order{number}@example.org")
            async with database.transaction() as connection:
                await plan_direct(connection, send)
            notify(DIRECT)
            await asyncio.sleep(0.2)
    finally:
        await notify.close()


async def _waited(server: EmbeddedPostgres) -> tuple[int, float, float]:
    """How many transactional messages there were, and how long they took until they were settled: median and 99 in 100, in seconds.

    What has not been settled yet has taken until now.
    """
    database = Database(server.url)
    async with database.transaction() as connection:
        row = (await connection.execute(_WAITED)).one()
    await database.close()
    return row.many, row.median, row.p99


_WAITED = text("""
SELECT count(*) AS many, percentile_cont(0.5) WITHIN GROUP (ORDER BY took) AS median,
  percentile_cont(0.99) WITHIN GROUP (ORDER BY took) AS p99
FROM (
  SELECT extract(epoch FROM coalesce(settled_at, clock_timestamp()) - planned_at)::float8 AS took FROM messages WHERE source LIKE 'direct:%'
) t
""")


def _bare(port: int, mails: int, connections: int = CONNECTIONS) -> tuple[float, float]:
    """Mails a second of as many processes, from the moment when all are ready, and microseconds of their CPU a mail."""
    used = _children_s()
    command = [sys.executable, "-m", "bench.blast", "bare", str(port), str(mails // PROCESSES), str(connections)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(PROCESSES)]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    began = time.perf_counter()
    for child in children:
        _tell(child)
    for child in children:
        child.wait()
    lasted, sent = time.perf_counter() - began, mails // PROCESSES * PROCESSES
    return sent / lasted, (_children_s() - used) / sent * 1e6


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tell(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.write(b"go\n")
    child.stdin.flush()


def _beside_one(place: Path, server: EmbeddedPostgres) -> tuple[float, float]:
    """Mails a second of one worker process, and of two, in turns: the median of each. Both must send as many."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    sent: set[int] = set()
    for many in [1, 2] * ROUNDS:
        with blasting.sink(place) as (port, _), blasting.workers(place, server, port, connections=CONNECTIONS, many=many) as pid:
            asyncio.run(_run(server, pid, most=_warm(BESIDE_ONE)))
            done, _used_mb = asyncio.run(_run(server, pid, most=BESIDE_ONE))
        rates[many].append(done.sent / done.lasted_s)
        sent.add(done.sent)
        print(f"{many} worker {'process' if many == 1 else 'processes'}: {rates[many][-1]:,.0f}/s ({done.sent} sent)", flush=True)
    if len(sent) > 1:
        raise AssertionError(f"the same campaign sent {' and '.join(map(str, sorted(sent)))} mails")
    return statistics.median(rates[1]), statistics.median(rates[2])


def _warm(people: int) -> int:
    """So many before it is measured: by then a worker has started, and has everything at hand."""
    return max(people // 10, 1)


def _sweep(place: Path, server: EmbeddedPostgres) -> None:
    """What connections are worth, also to a server that takes its time."""
    for delay_ms in (0, 5):
        for connections in (1, 10, 50):
            environment = {"SINK_DELAY_MS": str(delay_ms)}
            with (
                blasting.sink(place, environment) as (port, _),
                blasting.workers(place, server, port, connections=connections, many=PROCESSES) as pid,
            ):
                done, _used_mb = asyncio.run(_run(server, pid, most=SWEEP))
                bare, _cpu_us = _bare(port, SWEEP, connections)
            rate = done.sent / (done.lasted_s - done.planned_s)
            print(
                f"{connections} connections a worker, {delay_ms} ms a mail: {rate:,.0f}/s without the plan, bare {bare:,.0f}/s", flush=True
            )


def _grow(place: Path, server: EmbeddedPostgres) -> list[Growth]:
    """The cost of a mail with ten and a hundred times the recipients."""
    asyncio.run(_fill(server))
    grown = []
    with blasting.sink(place) as (port, _), blasting.workers(place, server, port, many=PROCESSES) as pid:
        asyncio.run(_run(server, pid, most=_warm(GROWN // 100)))
        for people in (GROWN // 100, GROWN // 10, GROWN):
            before = cpu_s(pid, server.postmaster_pid())
            done, used_mb = asyncio.run(_run(server, pid, most=people))
            cost_us = (cpu_s(pid, server.postmaster_pid()) - before) / done.sent * 1e6
            grown.append(Growth(people, cost_us, used_mb))
            print(f"{people} recipients: {cost_us:,.0f} microseconds of CPU a mail (workers, Postgres), {used_mb:.0f} MB", flush=True)
    return grown


async def _fill(server: EmbeddedPostgres) -> None:
    database = Database(server.url)
    await blasting.fill(database, GROWN)
    await database.close()


class _NobodyWatches:
    def begins(self, _place: int) -> bool:
        return True

    def ended(self, _place: int, _end: End) -> None:
        """Nothing is written down."""


async def _bare_process(port: int, mails: int, connections: int) -> None:
    database = Database(os.environ["SOJOURN_DATABASE_URL"])
    contents = Contents(database, Renderer(), Tracker(database, *_OURS))
    adapter = Smtp(SmtpServer("127.0.0.1", port, tls="none", connections=connections))
    await _outgoing(contents, 0)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    left = iter(range(0, mails, CHUNK))

    async def lane() -> None:
        for first in left:
            outgoings = [await _outgoing(contents, number) for number in range(first, min(first + CHUNK, mails))]
            await adapter.send_all(outgoings, _NobodyWatches())

    await asyncio.gather(*(lane() for _ in range(max(LANES, connections))))


_NOW = datetime.now(UTC)
_SETTINGS = {"from": "Acme <hello@acme.example>", "postal_address": "1 Way"}
_LEAVE = partial(unsubscribe_url, *_OURS)
_CHOOSE = partial(preferences_url, *_OURS)


async def _outgoing(contents: Contents, number: int) -> Outgoing:
    """As a lane makes it."""
    person = Person(number + 1, f"user-{number}", {"name": f"Ann {number}", "plan": "gold"}, None)
    message_id = UUID(int=number + 1)
    leave = _LEAVE("demo", person.id, person.id, "general")
    standing = Standing(now=_NOW, app_name="Demo", settings=_SETTINGS)
    variables = variables_of(person, standing, unsubscribe_url=leave, preferences_url=_CHOOSE("demo", person.id, person.id))
    sent = Sent("demo", message_id, About("Demo", "email", "marketing", "news", "message", "news"), _SETTINGS)
    content = await contents.compose(Filled("demo", "news", 1, "email", variables), sent)
    return Outgoing(
        message_id=message_id,
        app="demo",
        address=f"ann{number}@example.org",
        content=content,
        message_class="marketing",
        topic="general",
        deadline=time.monotonic() + 60,
        unsubscribe_url=leave,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        spare_the_collector()
        uvloop.run(_bare_process(*map(int, sys.argv[2:5])))
    else:
        main()
