"""What a report costs over a million enrollments: reading it, keeping it up to date, and what the delivery path pays for it.

The limit is the plain count: one statement that scans the same rows. SOJOURN_BENCH_PEOPLE makes the crowd smaller.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sqlalchemy import text

from bench import harness
from cli.embedded_postgres import EmbeddedPostgres
from journeys.language import Arm, If, Journey, Send, Split, Wait, days, email, event, has, push
from journeys.language.codec import content_hash, to_json
from storage import journeys, reports
from storage.database import Connection, Database
from workflows.reports import ReportLane

PEOPLE = int(os.environ.get("SOJOURN_BENCH_PEOPLE", "1000000"))
NEW_ROWS = 100_000
PIECE = 100_000
# A report is read in at most a twentieth of the time that counting by scan takes.
GOAL = 0.05
JOURNEY = Journey(
    "crowd",
    starts_on=event("joined"),
    goal=event("order_placed").within(days(14)),
    holdout=10,
    steps=[
        Send("hello", email("hello")),
        Wait("think", days(1)),
        Split("offer", arms=[Arm("plain", 50, [Send("plain", email("plain"))]), Arm("rich", 50, [Send("rich", email("rich"))])]),
        If("has_app", has("push"), then=[Send("nudge", push("nudge"))]),
    ],
)
_HASHED = "decode(substring(md5({seed}) FROM 1 FOR 20), 'hex')"
_TIMED_ID = f"CAST(encode(substring(int8send(CAST({{ms}} AS bigint)) FROM 3 FOR 6) || {_HASHED}, 'hex') AS uuid)"
_STARTED = "(extract(epoch FROM now()) * 1000 - 60000 - mod(CAST(g AS bigint) * 7919, 2419200000))"
_ENROLLMENT = _TIMED_ID.format(ms=_STARTED, seed="'e' || g")
_MESSAGE = _TIMED_ID.format(ms="extract(epoch FROM e.started_at) * 1000", seed="CAST(e.id AS text) || s.step")
_USERS = "INSERT INTO users (app, user_id) SELECT 'demo', 'u' || g FROM generate_series({first}, {last}) g"
_ENROLLMENTS = f"""
INSERT INTO enrollments (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name, entered_at, started_at,
    state, ended_at, end_reason)
SELECT 'demo', {_ENROLLMENT}, g, 'u' || g, 'crowd', 1, 1, 'w' || g, 'e' || g, 'joined', at, at,
    CASE WHEN g % 10 < 7 THEN 'closed' ELSE 'open' END, CASE WHEN g % 10 BETWEEN 1 AND 6 THEN at + interval '2 days' END,
    CASE WHEN g % 10 = 0 THEN 'holdout' WHEN g % 10 < 7 THEN 'completed' END
FROM generate_series({{first}}, {{last}}) g CROSS JOIN LATERAL (SELECT to_timestamp({_STARTED} / 1000) AS at) t
"""
_OUTCOMES = """
INSERT INTO step_outcomes (app, enrollment_id, step, visit, verdict, began_at)
SELECT 'demo', e.id, s.step, 1, CAST(s.verdict AS jsonb), e.started_at + interval '1 hour' * s.place FROM enrollments e CROSS JOIN (VALUES
    (1, 'hello', '{{"kind": "send", "status": "settled", "sent": true, "reasons": [], "claimed_at": null}}'),
    (2, 'plain', '{{"kind": "send", "status": "settled", "sent": true, "reasons": [], "claimed_at": null}}'),
    (3, 'has_app', '{{"kind": "decided", "branch": 0}}'),
    (4, 'nudge', '{{"kind": "send", "status": "settled", "sent": false, "reasons": ["no_endpoint"], "claimed_at": null}}'),
    (5, 'has_app:until', '{{"kind": "decided", "branch": null}}')) AS s (place, step, verdict)
WHERE e.app = 'demo' AND e.user_id BETWEEN {first} AND {last}
"""
_MESSAGES = f"""
INSERT INTO messages (id, app, user_id, source, step, visit, target, journey, channel, message_class, template, state, reason, claimed_at,
    settled_at, delivered_at, opened_at)
SELECT {_MESSAGE}, 'demo', e.user_id, CAST(e.id AS text), s.step, 1,
     '1', 'crowd', 'email', 'marketing', s.step, s.state, s.reason, e.started_at, e.started_at, e.started_at, NULL
FROM enrollments e
CROSS JOIN (VALUES ('hello', 'sent', NULL), ('plain', 'sent', NULL), ('nudge', 'skipped', 'no_endpoint')) AS s (step, state, reason)
WHERE e.app = 'demo' AND e.user_id BETWEEN {{first}} AND {{last}}
"""
_EVENTS = """
INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at)
SELECT 'demo', e.started_at + interval '1 day', e.user_id, 'order-' || e.user_id,
    CASE WHEN e.user_id % 5 = 0 THEN 'order_placed' ELSE 'seen' END, e.started_at + interval '1 day'
FROM enrollments e WHERE e.app = 'demo' AND e.user_id BETWEEN {first} AND {last}
"""
# What a report says, by scan: nothing was kept for it.
_PLAIN = """
SELECT (SELECT count(*) FROM (SELECT state, end_reason, count(*) FROM enrollments
        WHERE app = 'demo' AND journey = 'crowd' GROUP BY 1, 2) e),
    (SELECT count(*) FROM (SELECT o.step, o.verdict ->> 'status', o.verdict ->> 'sent', count(*) FROM step_outcomes o
        JOIN enrollments e ON e.app = o.app AND e.id = o.enrollment_id WHERE o.app = 'demo' AND e.journey = 'crowd' GROUP BY 1, 2, 3) o),
    (SELECT count(*) FROM (SELECT step, state, reason, count(*), count(delivered_at), count(opened_at) FROM messages
        WHERE app = 'demo' AND journey = 'crowd' GROUP BY 1, 2, 3) m)
"""
_NEW_OUTCOMES = """
INSERT INTO step_outcomes (app, enrollment_id, step, visit, verdict)
SELECT 'demo', id, 'later', 1, '{"kind": "send", "status": "settled", "sent": true, "reasons": [], "claimed_at": null}'
FROM enrollments WHERE app = 'demo' AND started_at > now() - interval '7 days' ORDER BY md5(CAST(id AS text)) LIMIT :most
"""
_NEW_EVENTS = """
INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at)
SELECT 'demo', clock_timestamp(), g, 'again-' || g, 'order_placed', now() FROM generate_series(1, :most) g
"""


def main() -> None:
    with harness.folder() as place, harness.postgres(place) as server:
        read, plain = asyncio.run(measure(server))
    harness.report("report", read * 1000, "ms", limit=plain * 1000, goal=GOAL, at_most=True)


async def measure(server: EmbeddedPostgres) -> tuple[float, float]:
    """Seconds of reading a report, and of counting by scan."""
    database = Database(server.url)
    try:
        await _fill(database)
        lane = ReportLane(database)
        print(f"counted from scratch: {await _timed(lane.catch_up):.1f} s for {PEOPLE:,} enrollments", flush=True)
        read, plain = await _read(database)
        for what, statement in (("outcomes of the last 7 days", _NEW_OUTCOMES), ("goal events", _NEW_EVENTS)):
            await _run(database, statement, most=min(NEW_ROWS, PEOPLE // 5))
            await asyncio.sleep(1.2)
            print(f"kept up to date: {await _timed(lane.catch_up):.2f} s for {min(NEW_ROWS, PEOPLE // 5):,} new {what}", flush=True)
        await _path(database)
        return read, plain
    finally:
        await database.close()


async def _fill(database: Database) -> None:
    await _run(database, "INSERT INTO apps (id, name) VALUES ('demo', 'Demo')")
    async with database.transaction() as connection:
        await journeys.publish(
            connection, "demo", name="crowd", definition=to_json(JOURNEY).decode(), content_hash=content_hash(JOURNEY),
            entry_names=JOURNEY.entry_names, listen_names=JOURNEY.signal_names,
        )  # fmt: skip
    began = time.monotonic()
    for statement in (_USERS, _ENROLLMENTS, _OUTCOMES, _MESSAGES, _EVENTS):
        for first in range(1, PEOPLE + 1, PIECE):
            await _run(database, statement.format(first=first, last=min(first + PIECE - 1, PEOPLE)))
    async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.exec_driver_sql("SET statement_timeout = 0")
        for table in ("enrollments", "step_outcomes", "messages", "events", "users"):
            await connection.exec_driver_sql(f"VACUUM ANALYZE {table}")
    print(f"{PEOPLE:,} enrollments, {5 * PEOPLE:,} outcomes, {3 * PEOPLE:,} messages made in {time.monotonic() - began:.0f} s", flush=True)


async def _read(database: Database) -> tuple[float, float]:
    async def report(connection: Connection) -> None:
        far = datetime(9999, 1, 1, tzinfo=UTC)
        rows = await reports.counted(connection, "demo", "crowd", since=datetime(2000, 1, 1, tzinfo=UTC), until=far)
        assert sum(row.n for row in rows if row.what in ("entered", "held_out") and not row.split) == PEOPLE

    async def scan(connection: Connection) -> None:
        await connection.exec_driver_sql(_PLAIN)

    read, plain = await _best(database, report), await _best(database, scan)
    print(f"a report of 28 days: {read * 1000:.1f} ms; the same by scan: {plain * 1000:.0f} ms", flush=True)
    return read, plain


# What is there only for reports: (what happens, the statement, how it goes without).
_PATH = (
    (
        "an outcome is written",
        (
            "INSERT INTO step_outcomes (app, enrollment_id, step, visit, verdict)"
            " SELECT app, id, 'path-{n}', 1, '{{}}' FROM enrollments WHERE app = 'demo' ORDER BY id DESC LIMIT 20000"
        ),
        "DROP INDEX step_outcomes_began",
    ),
    (
        "a message is settled",
        (
            "UPDATE messages SET state = 'sent', reason = NULL, answer = '{n}', settled_at = clock_timestamp() WHERE app = 'demo'"
            " AND id IN (SELECT id FROM messages WHERE app = 'demo' ORDER BY id DESC LIMIT 20000)"
        ),
        "DROP TRIGGER messages_tell_report ON messages",
    ),
    (
        "an enrollment ends",
        (
            "UPDATE enrollments SET state = 'closed', ended_at = clock_timestamp(), end_reason = '{n}' WHERE app = 'demo'"
            " AND id IN (SELECT id FROM enrollments WHERE app = 'demo' AND state = 'open' ORDER BY id DESC LIMIT 20000)"
        ),
        "DROP INDEX enrollments_ended",
    ),
)


async def _path(database: Database) -> None:
    """What the delivery path pays: each statement with and without what is there for reports, in turns, rolled back."""
    for what, statement, without in _PATH:
        took: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(6):
            took[turn % 2 == 0].append(await _rolled_back(database, statement.format(n=turn), "" if turn % 2 == 0 else without))
        extra = (min(took[True]) - min(took[False])) / 20_000 * 1e6
        print(f"{what}: {min(took[True]) / 20_000 * 1e6:.1f} microseconds, {extra:+.1f} of them for reports", flush=True)


async def _rolled_back(database: Database, statement: str, before: str) -> float:
    async with database.engine.connect() as connection:
        if before:
            await connection.exec_driver_sql(before)
        began = time.monotonic()
        await connection.exec_driver_sql(statement)
        took = time.monotonic() - began
        await connection.rollback()
    return took


async def _best(database: Database, work: Callable[[Connection], Awaitable[None]]) -> float:
    took = []
    for _ in range(3):
        async with database.transaction() as connection:
            began = time.monotonic()
            await work(connection)
            took.append(time.monotonic() - began)
    return min(took)


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    began = time.monotonic()
    await work()
    return time.monotonic() - began


async def _run(database: Database, statement: str, **values: object) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(statement), values)


if __name__ == "__main__":
    main()
