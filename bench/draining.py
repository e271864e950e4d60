"""The whole delivery path, as the two delivery benchmarks share it.

What is measured is a worker's direct lanes draining marketing mails that stand planned in the ledger: claimed under the locks of their
people with every rule (consent, topic, suppression, a cap), rendered from a template of 5 KB with two counted links and a pixel, made
into mails, handed over, and settled with the provider's id, fifty at a time. The limit is the same client handing over what is made
already, and nothing else.
"""

import asyncio
import cProfile
import os
import pstats
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import uvloop
from sqlalchemy import text

from activities.direct import DirectLane
from activities.messages import Delivery
from activities.tracking import Tracker
from activities.traffic import Traffic
from bench import harness
from channels.base import Adapter, Content, Outgoing
from channels.links import preferences_url, unsubscribe_url
from channels.render import Renderer
from cli.children import start_child, stop_child
from cli.embedded_postgres import free_port
from cli.memory import spare_the_collector
from storage import templates
from storage.database import Database
from storage.ids import message_id

MESSAGES = int(os.environ.get("SOJOURN_BENCH_MESSAGES", "10000"))
ROUNDS = 3
GOAL = 0.5
_PARAGRAPH = "<p>This is a line of a mail as people write them, with a word or two more in it, and a little more of it.</p>\n"
_LINKS = "<p><a href='https://shop.example/new'>What is new</a> or <a href='https://shop.example/sale'>what is left</a></p>"
_HELLO = "Hello {{ user.name | default('you') }},"
FILES: Mapping[str, str] = {
    "template.toml": 'from = "Acme <hello@acme.example>"\n',
    "subject.txt": "News for {{ user.name | default('you') }}",
    "body.html": f"<html><body><p>{_HELLO}</p>{_PARAGRAPH * 42}{_LINKS}<a href='{{{{ links.unsubscribe }}}}'>leave</a></body></html>",
    "body.txt": f"{_HELLO}\n{'this is what the mail says to those who read text.' * 8}\n",
}
_PEOPLE = text("""
WITH made AS (
  INSERT INTO users (app, user_id, attributes) SELECT 'demo', 'user-' || n, jsonb_build_object('name', 'Ann ' || n)
  FROM generate_series(1, :people) n RETURNING id
)
INSERT INTO endpoints (app, user_id, channel, address, address_hash, confirmed_at)
SELECT 'demo', id, 'email', 'ann' || id || '@example.org', sha256(CAST('ann' || id AS bytea)), now() FROM made
""")
_PLANNED = text("""
WITH given AS (
  SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:users AS bigint[]), CAST(:endpoints AS bigint[])) AS g (id, user_id, endpoint_id)
), written AS (
  INSERT INTO messages (id, app, user_id, endpoint_id, source, step, visit, target, channel, message_class, topic, template, state)
  SELECT id, 'demo', user_id, endpoint_id, :round || id, 'direct', 1, CAST(endpoint_id AS text), 'email', 'marketing', 'general', 'news',
    'planned' FROM given RETURNING id
), kept AS (
  INSERT INTO direct_sends (app, message_id, content) SELECT 'demo', id, '{"template": "news", "data": {}}' FROM written
)
INSERT INTO open_messages (app, message_id, kind, due_at, is_bulk) SELECT 'demo', id, 'direct', clock_timestamp(), true FROM written
""")


Measured = tuple[float, float]
"""Messages a second, and microseconds of this process's CPU a message."""
Bare = Callable[[int, int], Awaitable[Measured]]
"""Port and number of messages."""


def run(name: str, kind: str, make: Callable[[int], Adapter], bare: Bare | None = None) -> None:
    """Measure in turns and print the line. `make` gives the adapter for a sink at this port; `bare` None: the limit is that adapter."""
    with harness.folder() as place, harness.postgres(place) as server, _sink(kind, place) as port:
        if "--profile" in sys.argv:
            uvloop.run(_profile(server.url, lambda: make(port)))
            return
        limit = partial(bare, port) if bare else lambda messages: adapter_alone(make(port), messages)
        ours, limits = uvloop.run(_measure(server.url, lambda: make(port), limit))
    harness.report(name, statistics.median(ours), "messages/s", limit=statistics.median(limits), goal=GOAL)


@contextmanager
def _sink(kind: str, place: Path) -> Iterator[int]:
    port = free_port()
    child = start_child([sys.executable, "-m", "bench.sinks", kind, str(port)], place / "sink.log")
    time.sleep(1)
    try:
        yield port
    finally:
        stop_child(child)


async def _measure(url: str, make: Callable[[], Adapter], limit: Callable[[int], Awaitable[Measured]]) -> tuple[list[float], list[float]]:
    database = Database(url, pool_size=24, wait_s=5.0)
    await _prepare(database)
    ours, limits = [], []
    await _drained(database, make(), MESSAGES // 10)
    spare_the_collector()
    for number in range(1, ROUNDS + 1):
        bare, bare_us = await limit(MESSAGES)
        whole, whole_us = await _drained(database, make(), MESSAGES)
        limits.append(bare)
        ours.append(whole)
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        cpu = f"{whole_us:,.0f} and {bare_us:,.0f} microseconds of this process's CPU a message"
        print(f"round {number}: {whole:,.0f}/s whole, {bare:,.0f}/s bare; {cpu}; {memory_mb} MB", flush=True)
    await database.close()
    return ours, limits


async def _profile(url: str, make: Callable[[], Adapter]) -> None:
    database = Database(url, pool_size=24, wait_s=5.0)
    await _prepare(database)
    await _drained(database, make(), MESSAGES // 10)
    profile = cProfile.Profile()
    profile.enable()
    await _drained(database, make(), MESSAGES)
    profile.disable()
    pstats.Stats(profile).sort_stats("cumulative").print_stats(70).sort_stats("tottime").print_stats(40)
    await database.close()


async def _prepare(database: Database) -> None:
    """An app with a cap, its template, and people with an address."""
    async with database.transaction() as connection:
        caps = {"caps": [{"kind": "cap", "at_most": 1000, "per": "day"}], "postal_address": "1 Way"}
        await connection.execute(text("INSERT INTO apps (id, name, settings) VALUES ('demo', 'Demo', :settings)"), {"settings": caps})
        await templates.publish(connection, "demo", "news", dict(FILES), "hash")
        await connection.execute(_PEOPLE, {"people": MESSAGES})


async def _plan(database: Database, messages: int) -> None:
    async with database.transaction() as connection:
        people = (await connection.execute(text("SELECT user_id, id FROM endpoints ORDER BY id LIMIT :n"), {"n": messages})).all()
        began_at = datetime.now(UTC)
        source = f"direct:{began_at.timestamp()}:"
        ids = [message_id(began_at, "demo", source, "direct", 1, str(person.id)) for person in people]
        given = {"users": [person.user_id for person in people], "endpoints": [person.id for person in people]}
        await connection.execute(_PLANNED, {"ids": ids, "round": source, **given})
    async with database.engine.connect() as plain:
        await (await plain.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))


async def _drained(database: Database, adapter: Adapter, messages: int) -> Measured:
    """Messages a second from the first look to the last row settled, and microseconds of CPU a message."""
    await _plan(database, messages)
    renderer = Renderer()
    ours = "https://acme.example", "a secret of at least 32 characters"
    delivery = Delivery(
        {"email": adapter},
        renderer,
        partial(unsubscribe_url, *ours),
        None,
        preferences_url=partial(preferences_url, *ours),
        tracker=Tracker(database, *ours),
        traffic=Traffic(database),
    )
    lanes = asyncio.create_task(DirectLane(database, delivery, asyncio.Event()).run())
    began, cpu = time.perf_counter(), time.process_time()
    while await _open(database):  # noqa: ASYNC110 - the ledger is what is asked
        await asyncio.sleep(0.2)
    lasted, used = time.perf_counter() - began, time.process_time() - cpu
    lanes.cancel()
    await asyncio.wait([lanes])
    await adapter.close()
    await renderer.close()
    await _all_sent(database)
    return messages / lasted, used / messages * 1e6


async def _open(database: Database) -> bool:
    async with database.transaction() as connection:
        return bool((await connection.execute(text("SELECT EXISTS (SELECT FROM open_messages)"))).scalar_one())


async def _all_sent(database: Database) -> None:
    async with database.transaction() as connection:
        left = (await connection.execute(text("SELECT count(*) FROM messages WHERE state <> 'sent'"))).scalar_one()
    assert not left, f"{left} messages were not sent"


async def adapter_alone(adapter: Adapter, messages: int) -> Measured:
    """The same adapter, with as many messages at once as the lanes have."""
    numbers = iter(range(messages))

    async def hand_over() -> None:
        for number in numbers:
            await adapter.send(_outgoing(number))

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(hand_over() for _ in range(150)))
    lasted, used = time.perf_counter() - began, time.process_time() - cpu
    await adapter.close()
    return messages / lasted, used / messages * 1e6


def _outgoing(number: int) -> Outgoing:
    parts = {name: FILES[file] for name, file in (("subject", "subject.txt"), ("html", "body.html"), ("text", "body.txt"))}
    return Outgoing(
        message_id=UUID(int=number + 1),
        app="demo",
        address=f"ann{number}@example.org",
        content=Content("email", {**parts, "from": "Acme <hello@acme.example>"}),
        message_class="marketing",
        topic="general",
        deadline=time.monotonic() + 60,
        unsubscribe_url="https://acme.example/unsubscribe/0f2a.WyJkZW1vIiw3LDEyLCJuZXdzIl0.c2lnbmF0dXJl",
    )
