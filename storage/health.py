"""What monitoring asks of Postgres: is it there, is its schema the one that this code needs, and how much is waiting."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from storage.account_states import AccountState, everywhere, is_troubled
from storage.database import Connection
from storage.migrations.runner import is_enough

_REVISION = text("SELECT version_num FROM alembic_version")
# Monitoring must not slow what it watches: a count that takes longer is given up and the last one stays.
_HURRY = text("SET LOCAL statement_timeout = '2s'")
_EXACT_UP_TO = 100_000
_OUTBOX = text(
    """
    SELECT CASE WHEN counted.rows <= :exact THEN counted.rows
           ELSE greatest(:exact, (SELECT reltuples FROM pg_class WHERE oid = 'outbox'::regclass)) END AS depth,
        coalesce(extract(epoch FROM clock_timestamp() - oldest.created_at), 0) AS age_seconds
    FROM (SELECT count(*) AS rows FROM (SELECT 1 FROM outbox LIMIT :exact + 1) AS first_rows) AS counted,
        (SELECT min(head.created_at) AS created_at FROM generate_series(0, 63) AS s
            CROSS JOIN LATERAL (SELECT created_at FROM outbox WHERE shard = s ORDER BY seq LIMIT 1) AS head) AS oldest
    """
)
_INSIDE = text("SELECT app, journey, count(*) AS people FROM enrollments WHERE state <> 'closed' GROUP BY app, journey")
_MESSAGES = text(
    """
    SELECT app, channel, state, coalesce(reason, '') AS reason, count(*) AS messages FROM messages
    WHERE id >= time_floor(now() - interval '1 day') GROUP BY 1, 2, 3, 4
    """
)
_QUARANTINED = text("SELECT app, count(*) AS rows FROM quarantine GROUP BY app")


@dataclass(frozen=True)
class Gauges:
    """How much stands where at one moment; each tuple's last member is the number."""

    outbox_depth: float
    outbox_age_seconds: float
    inside: list[tuple[Any, ...]]
    """(app, journey, people)"""
    messages: list[tuple[Any, ...]]
    """(app, channel, state, reason, messages) of the enrollments and requests that began in the last day"""
    quarantined: list[tuple[Any, ...]]
    """(app, rows)"""
    accounts_in_trouble: list[tuple[Any, ...]]
    """(app, channel, account, away or closed, 1)"""


async def is_current(connection: Connection) -> bool:
    """Tell whether the schema is one that this code can work on. The transaction raises Unavailable when Postgres is away."""
    return is_enough((await connection.execute(_REVISION)).scalar())


async def gauges(connection: Connection) -> Gauges:
    """Read what monitoring shows, of every app (the worker's role)."""
    await connection.execute(_HURRY)
    outbox = (await connection.execute(_OUTBOX, {"exact": _EXACT_UP_TO})).one()
    return Gauges(
        outbox_depth=float(outbox.depth),
        outbox_age_seconds=float(outbox.age_seconds),
        inside=[tuple(row) for row in await connection.execute(_INSIDE)],
        messages=[tuple(row) for row in await connection.execute(_MESSAGES)],
        quarantined=[tuple(row) for row in await connection.execute(_QUARANTINED)],
        accounts_in_trouble=[_trouble(state) for state in await everywhere(connection) if is_troubled(state)],
    )


def _trouble(state: AccountState) -> tuple[Any, ...]:
    return state.app, state.channel, state.account, "away" if state.away_since else "closed", 1
