"""From an event to the entry into a journey that it leads to, by way of a segment: an api and a worker as they are deployed.

Twenty segments are followed, each listened to by a journey of its own, over people of whom a share is in each. Events come in at a steady
rate over HTTP; all of them are about some segments, and each tenth brings its person into one. Measured is the time from the moment at
which such an event was sent to the enrollment's row: ingest, the note, the lane, our event, the relay's decision.
"""

import asyncio
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
from sqlalchemy import text

from bench import harness
from cli.children import sojourn, start_child, stop_child
from cli.embedded_postgres import EmbeddedPostgres, free_port
from journeys.language import Journey, Wait, ago, days, did, did_not, has, in_segment, last_did, segment, trait
from journeys.language.codec import condition_hash, condition_to_json, content_hash, to_json
from journeys.language.conditions import ConditionNode
from journeys.language.segments import mentions
from storage import journeys, keys, segments
from storage.database import Database

PEOPLE = int(os.environ.get("SOJOURN_BENCH_PEOPLE", "1000000"))
RATE = int(os.environ.get("SOJOURN_BENCH_RATE", "50"))
SECONDS = int(os.environ.get("SOJOURN_BENCH_SECONDS", "60"))
GOAL_S = 2.0
SHARE = 0.95
AT_ONCE = 100_000
TRIGGERS = 10
BRINGS_IN = 10
REGULARS = 200
_PEOPLE = text("""
    WITH made AS (
        INSERT INTO users (app, user_id, attributes) SELECT 'demo', 'user-' || n,
            jsonb_build_object('lifetime_value', n % 300, 'plan', (ARRAY['free', 'gold', 'team'])[1 + n % 3], 'city', 'city-' || n % 50)
        FROM generate_series(CAST(:first AS integer), :last) n RETURNING id, user_id
    )
    INSERT INTO identities (app, kind, value, user_id) SELECT 'demo', 'u', user_id, id FROM made
""")
_EVENTS = text("""
    INSERT INTO events (app, received_at, user_id, event_id, name, properties, occurred_at)
    SELECT 'demo', now(), u.id, 'old-' || u.id || '-' || n, (ARRAY['product_viewed', 'order_placed', 'mail_read'])[n], '{"total": 20}',
        now() - make_interval(days => CAST(u.id * 7 % 120 AS integer), secs => CAST(u.id % 86400 AS double precision))
    FROM users u CROSS JOIN generate_series(1, 3) n WHERE u.app = 'demo' AND u.id % 2 = 0 AND u.id BETWEEN :first AND :last
""")

_TOLD = text("""
    SELECT u.user_id, min(extract(epoch FROM e.received_at)) AS at FROM events e JOIN users u ON u.app = e.app AND u.id = e.user_id
    WHERE e.app = 'demo' AND e.name = 'segment_entered' GROUP BY 1
""")
_READ = "SELECT count(*) FROM segment_follows WHERE followed_at IS NOT NULL"


def conditions() -> dict[str, ConditionNode]:
    """Ten that an event brings people into, and ten that are there besides; all of them are read for a person whose event they mention."""
    ways: Sequence[Callable[[str], ConditionNode]] = [
        did,
        lambda name: did(name, last=days(30)),
        lambda name: did(name) & (trait("plan") == "gold"),
        lambda name: did(name, at_least=1, last=days(7)) & ~has("sms"),
        lambda name: last_did(name).after(ago(days(3))),
    ]
    wanted = {f"trigger-{n}": ways[n % len(ways)](f"event-{n}") for n in range(TRIGGERS)}
    others: list[ConditionNode] = [
        (trait("lifetime_value") > 0) & did_not("order_placed", last=days(90)),
        did("order_placed", at_least=2, last=days(60)),
        did("product_viewed", last=days(3)) & did_not("order_placed", last=days(3)),
        (trait("plan") == "team") & did("mail_read", last=days(14)),
        did_not("mail_read", last=days(60)),
        last_did("order_placed").before(ago(days(30))),
        (trait("city") == "city-7") | did("event-3", last=days(30)),
        in_segment("trigger-1") & did("event-1", at_least=3),
        did("product_viewed", then="order_placed", within=days(2)),
        (trait("lifetime_value") >= 200) & in_segment("other-0"),
    ]
    return wanted | {f"other-{n}": each for n, each in enumerate(others)}


def main() -> None:
    with harness.folder() as place, harness.postgres(place) as server, harness.temporal(place, server) as address:
        os.environ["TEMPORAL_ADDRESS"] = address
        os.environ["SOJOURN_DATABASE_URL"] = server.url
        key = asyncio.run(prepare(server))
        with processes(place) as port:
            took = sorted(asyncio.run(measure(server, key, port)))
    p95 = took[int(len(took) * SHARE)]
    print(f"{len(took)} entries: median {statistics.median(took):.3f} s, p95 {p95:.3f} s, longest {took[-1]:.3f} s; {PEOPLE:,} people")
    harness.report("segment-entry", p95, "s", limit=GOAL_S, goal=1.0, at_most=True)


async def prepare(server: EmbeddedPostgres) -> str:
    """People with a past, and a write key."""
    database = Database(server.url)
    async with database.transaction() as connection:
        await connection.execute(text("INSERT INTO apps (id, name) VALUES ('demo', 'Demo')"))
        key = await keys.create(connection, "demo", "write")
    for first in range(1, PEOPLE + 1, AT_ONCE):
        reach = {"first": first, "last": min(first + AT_ONCE - 1, PEOPLE)}
        for statement in (_PEOPLE, _EVENTS):
            async with database.transaction() as connection:
                await connection.execute(statement, reach)
    await _vacuum(database)
    await database.close()
    return key


async def _vacuum(database: Database) -> None:
    """What autovacuum would do by and by with millions of new rows: measured is an installation that has run for an hour."""
    async with database.engine.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))


async def publish(database: Database) -> None:
    async with database.transaction() as connection:
        for name, condition in conditions().items():
            written = condition_to_json(condition).decode()  # type: ignore[arg-type]
            await segments.publish(connection, "demo", name, written, condition_hash(condition), mentions(condition))  # type: ignore[arg-type]
            journey = Journey(f"on-{name}", starts_on=segment(name), steps=[Wait("rest", days(1))])
            await journeys.publish(
                connection,
                "demo",
                name=journey.name,
                definition=to_json(journey).decode(),
                content_hash=content_hash(journey),
                entry_names=journey.entry_names,
                listen_names=journey.signal_names,
            )


@contextmanager
def processes(place: Path) -> Iterator[int]:
    port = free_port()
    children = [start_child(sojourn("api", "--port", str(port)), place / "api.log"), start_child(sojourn("worker"), place / "worker.log")]
    try:
        harness.until_ready(port)
        yield port
    finally:
        for child in children:
            stop_child(child)


async def measure(server: EmbeddedPostgres, key: str, port: int) -> Sequence[float]:
    """Seconds from sending an event to the row of the enrollment, for each event."""
    database = Database(server.url)
    began = time.perf_counter()
    await publish(database)
    while await _scalar(database, _READ) < len(conditions()):  # noqa: ASYNC110 - the worker is another process
        await asyncio.sleep(0.5)
    members = await _scalar(database, "SELECT count(*) FROM segment_members")
    print(f"first reading: {time.perf_counter() - began:.1f} s for {len(conditions())} segments, {members:,} memberships", flush=True)
    await _vacuum(database)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=(key, ""), timeout=30) as http:
        sent = await send(http)
    entered = await _entries(database, set(sent))
    async with database.transaction() as connection:
        told = sorted(float(row.at) - sent[row.user_id] for row in await connection.execute(_TOLD) if row.user_id in sent)
    print(f"of it until segment_entered was written: median {statistics.median(told):.3f} s, p95 {told[int(len(told) * SHARE)]:.3f} s")
    await database.close()
    return [entered[user] - at for user, at in sent.items()]


async def send(http: httpx.AsyncClient) -> dict[str, float]:
    """At the rate; returns when each event was sent that brings somebody in: people who are all different."""
    people = random.sample(range(REGULARS + 1, PEOPLE + 1), RATE * SECONDS // BRINGS_IN)
    sent: dict[str, float] = {}
    began = time.time()
    async with asyncio.TaskGroup() as group:
        for place in range(RATE * SECONDS):
            await asyncio.sleep(max(0.0, began + place / RATE - time.time()))
            name, user = random.choice(("order_placed", "mail_read")), f"user-{random.randint(1, REGULARS)}"
            if place % BRINGS_IN == 0:
                # These bring everybody in who has not done them; the other triggers have conditions besides.
                name, user = f"event-{random.choice((0, 1, 5, 6))}", f"user-{people[place // BRINGS_IN]}"
                sent[user] = time.time()
            at = datetime.now(UTC).isoformat()
            group.create_task(_track(http, {"messageId": str(uuid4()), "userId": user, "event": name, "timestamp": at}))
    return sent


async def _track(http: httpx.AsyncClient, call: dict[str, str]) -> None:
    """As libraries do: what is refused for now is sent again, and the time counts."""
    while (answer := await http.post("/v1/track", json=call)).status_code == httpx.codes.SERVICE_UNAVAILABLE:  # noqa: ASYNC110 - the api is another process
        await asyncio.sleep(0.2)
    answer.raise_for_status()


async def _entries(database: Database, expected: set[str]) -> dict[str, float]:
    """When each person entered. All must; it is waited for a minute."""
    for _ in range(120):
        async with database.transaction() as connection:
            rows = await connection.execute(text("SELECT subject, min(extract(epoch FROM started_at)) AS at FROM enrollments GROUP BY 1"))
            entered = {row.subject: float(row.at) for row in rows}
        if expected <= entered.keys():
            return entered
        await asyncio.sleep(0.5)
    raise RuntimeError(f"{len(expected - entered.keys())} of {len(expected)} did not enter")


async def _scalar(database: Database, statement: str) -> int:
    async with database.transaction() as connection:
        return int((await connection.execute(text(statement))).scalar_one())


if __name__ == "__main__":
    main()
