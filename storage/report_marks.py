"""Which hours of entries must be counted anew: read from what is stored anyway, so that whoever delivers writes nothing for it.

Between two readings lies a moment of which it is sure that every transaction that wrote something earlier has ended. So each row is
read once, however late it was committed; marking hours and moving that moment on are one transaction, so a kill loses nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection, Database

# Between the moment that a row says and the first write of its transaction lies next to nothing, unless its process was stopped there.
_MARGIN = "interval '1 second'"
_TRIES = 50
_PAUSE_S = 0.02

_NOW = text(f"SELECT clock_timestamp() - {_MARGIN} AS until, (SELECT last_value FROM events_seq_seq) AS events")
# A number of our own: a snapshot's xmax says only what has ended, not what was begun.
_NUMBER = text("SELECT CAST(pg_current_xact_id() AS text)")
_ENDED = text("SELECT pg_snapshot_xmin(pg_current_snapshot()) > CAST(CAST(:number AS text) AS xid8)")


@dataclass(frozen=True)
class Moment:
    """All that was written before `until`, and every event numbered up to `events`, is committed by now or never will be."""

    until: datetime
    events: int


async def settled_moment(database: Database) -> Moment | None:
    """A recent moment before which nothing can still appear; None while a transaction of that time goes on."""
    async with database.transaction() as connection:
        now = (await connection.execute(_NOW)).one()
        number = (await connection.execute(_NUMBER)).scalar_one()
    async with database.transaction() as connection:
        for _ in range(_TRIES):
            if (await connection.execute(_ENDED, {"number": number})).scalar_one():
                return Moment(now.until, now.events)
            await asyncio.sleep(_PAUSE_S)
    return None


_TAKE = text("SELECT read_until, events_until FROM report_reading WHERE pg_try_advisory_xact_lock(7305203) FOR UPDATE")
_MOVE_ON = text("UPDATE report_reading SET read_until = :until, events_until = :events")
_DUE = "ON CONFLICT (app, hour) DO UPDATE SET is_due = true, goals_due = report_hours.goals_due OR excluded.goals_due"
_MARK = text(f"""
WITH news AS (
    DELETE FROM report_news RETURNING app, hour, goals_due
), unknown AS (
    SELECT app, hour_of(message_id) AS hour, count(*) AS n FROM open_messages WHERE kind = 'unknown' GROUP BY 1, 2
), changed AS (
    SELECT app, hour, goals_due FROM news
    UNION ALL SELECT DISTINCT app, hour_of(enrollment_id), false FROM step_outcomes WHERE began_at >= :since AND began_at < :until
    UNION ALL SELECT DISTINCT app, hour_of(id), false FROM enrollments WHERE ended_at >= :since AND ended_at < :until
    UNION ALL SELECT DISTINCT e.app, hour_of(e.id), false FROM apps a JOIN enrollments e ON e.app = a.id
        AND e.id >= time_floor(:since) AND e.id < time_floor(:until)
    UNION ALL SELECT DISTINCT app, to_timestamp(floor(extract(epoch FROM refused_at) / 3600) * 3600), false
        FROM refused_entries WHERE refused_at >= :since AND refused_at < :until
    UNION ALL SELECT coalesce(u.app, h.app), coalesce(u.hour, h.hour), false
        FROM unknown u FULL JOIN (SELECT * FROM report_hours WHERE unknowns > 0) h ON h.app = u.app AND h.hour = u.hour
        WHERE coalesce(u.n, 0) <> coalesce(h.unknowns, 0)
)
INSERT INTO report_hours (app, hour, goals_due)
SELECT app, hour, bool_or(goals_due) FROM changed GROUP BY app, hour ORDER BY app, hour {_DUE}
""")
# A clock that was set back, or a process stopped at a bad moment, may hide a row from the reading above; it is found within a day.
_MARK_OLD = text(f"""
INSERT INTO report_hours (app, hour, goals_due)
SELECT app, hour, true FROM report_hours
WHERE NOT is_due AND counted_at < now() - interval '1 day' AND (inside > 0 OR hour > now() - interval '30 days')
ORDER BY counted_at LIMIT 10 {_DUE}
""")
_MARK_ALL = text(f"""
INSERT INTO report_hours (app, hour, goals_due)
SELECT app, hour, true FROM (
    SELECT app, hour_of(id) AS hour FROM enrollments WHERE :app IN ('', app)
    UNION SELECT app, to_timestamp(floor(extract(epoch FROM refused_at) / 3600) * 3600) FROM refused_entries WHERE :app IN ('', app)
    UNION SELECT app, hour FROM report_hours WHERE :app IN ('', app)
) AS every_hour ORDER BY app, hour {_DUE}
""")
_NEW_GOALS = text(f"""
WITH live AS (
    SELECT j.app, j.name AS journey, coalesce(CAST(v.definition AS jsonb) -> 'goal', 'null') AS goal
    FROM journeys j JOIN journey_versions v ON v.app = j.app AND v.journey = j.name AND v.version = j.live_version
), written AS (
    INSERT INTO report_goals AS g (app, journey, goal) SELECT app, journey, goal FROM live ORDER BY app, journey
    ON CONFLICT (app, journey) DO UPDATE SET goal = excluded.goal WHERE g.goal <> excluded.goal RETURNING app, journey
)
INSERT INTO report_hours (app, hour, goals_due)
SELECT DISTINCT c.app, c.hour, true FROM written w JOIN report_counts c ON c.app = w.app AND c.journey = w.journey AND c.version > 0
ORDER BY c.app, c.hour {_DUE}
""")


@dataclass(frozen=True)
class Window:
    """What one reading covered: events numbered after `events_since` up to `events_until`, enrollments from `since` to before `until`."""

    since: datetime
    until: datetime
    events_since: int
    events_until: int


async def mark(connection: Connection, moment: Moment) -> Window | None:
    """Mark the hours in which something changed before this moment. None: another process is at it, or all was marked to be counted.

    The caller looks for conversions in the window, in the same transaction.
    """
    reading = (await connection.execute(_TAKE)).first()
    if reading is None or (reading.read_until is not None and reading.read_until >= moment.until):
        return None
    await connection.execute(_MOVE_ON, {"until": moment.until, "events": moment.events})
    await connection.execute(_NEW_GOALS)
    if reading.read_until is None:
        await connection.execute(_MARK_ALL, {"app": ""})
        return None
    await connection.execute(_MARK, {"since": reading.read_until, "until": moment.until})
    await connection.execute(_MARK_OLD)
    return Window(reading.read_until, moment.until, reading.events_until, moment.events)


async def mark_all(connection: Connection, app: str) -> int:
    """Let everything of one app be counted from scratch; returns how many hours that is."""
    return (await connection.execute(_MARK_ALL, {"app": app})).rowcount


_MARK_THESE = text(f"""
INSERT INTO report_hours (app, hour)
SELECT DISTINCT CAST(:app AS text), hour_of(id) FROM unnest(CAST(:ids AS uuid[])) AS i (id) ORDER BY 2 {_DUE}
""")
_NEXT = text("SELECT app, hour FROM report_hours WHERE is_due ORDER BY hour DESC LIMIT :most")
_COUNTED = text(
    "UPDATE report_reading SET as_of = greatest(as_of, :until)"
    " WHERE read_until >= :until AND NOT EXISTS (SELECT FROM report_hours WHERE is_due)"
)


async def mark_these(connection: Connection, app: str, enrollment_ids: Sequence[UUID]) -> None:
    """Let the hours of these enrollments be counted anew."""
    await connection.execute(_MARK_THESE, {"app": app, "ids": list(enrollment_ids)})


async def due(connection: Connection, most: int) -> list[tuple[str, datetime]]:
    """(app, hour) of those that are to be counted, the newest first."""
    return [(row.app, row.hour) for row in await connection.execute(_NEXT, {"most": most})]


async def counted_until(connection: Connection, until: datetime) -> None:
    """Say as of when the counts are, if nothing is left to count."""
    await connection.execute(_COUNTED, {"until": until})
