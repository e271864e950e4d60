"""The relay's table: what was accepted and still has to be told to journeys. Whole shards are leased; done rows are deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from journeys.language.facts import EventFact
from storage.database import Connection

SHARDS = 64


@dataclass(frozen=True)
class EntryRequest:
    """Somebody shall enter a journey though no event says so. `id` takes the place of the entry event's: the same again changes nothing.

    `name` is the entry event's, too. With `received_at` it may be too late, as an event may.
    """

    journey: str
    id: str
    occurred_at: datetime
    properties: Mapping[str, Any]
    name: str = "requested"
    received_at: datetime | None = None


@dataclass(frozen=True)
class OutboxRow:
    """One row in the order of its shard.

    `event` is set for kind event, `request` for kind request; `enrollment_id` for kind merged, or to tell only that one.
    """

    shard: int
    seq: int
    app: str
    user_id: int
    kind: str
    failures: int
    created_at: datetime
    enrollment_id: UUID | None
    event: EventFact | None
    event_received_at: datetime | None
    request: EntryRequest | None = None


_SEEN = text(
    "INSERT INTO processes (id, role, functions) VALUES (:id, 'worker', :functions)"
    " ON CONFLICT (id) DO UPDATE SET seen_at = now(), functions = EXCLUDED.functions"
)
_GONE = text("DELETE FROM processes WHERE id = :id OR seen_at < now() - interval '1 minute'")
_LEASE = text(
    """
    WITH fair AS (
        SELECT ceil(64.0 / greatest(count(*), 1))::int AS share
        FROM processes WHERE role = 'worker' AND seen_at > now() - interval '15 seconds'
    ), mine AS (
        SELECT shard FROM shards WHERE owner = :owner ORDER BY shard LIMIT (SELECT share FROM fair)
    ), free AS (
        SELECT shard FROM shards WHERE owner IS DISTINCT FROM :owner AND (leased_until IS NULL OR leased_until < now())
        ORDER BY shard LIMIT (SELECT greatest(share - (SELECT count(*) FROM mine), 0) FROM fair) FOR UPDATE SKIP LOCKED
    ), surplus AS (
        UPDATE shards SET owner = NULL, leased_until = NULL WHERE owner = :owner AND shard NOT IN (SELECT shard FROM mine)
    )
    UPDATE shards SET owner = :owner, leased_until = now() + make_interval(secs => :seconds)
    WHERE shard IN (SELECT shard FROM mine UNION ALL SELECT shard FROM free) RETURNING shard
    """
)
_RELEASE = text("UPDATE shards SET owner = NULL, leased_until = NULL WHERE owner = :owner")


async def announce(connection: Connection, process_id: UUID, functions: Sequence[str] = ()) -> None:
    """Tell the others that this worker lives, so that each takes its fair share of the shards; forget those silent for a minute."""
    await connection.execute(_SEEN, {"id": process_id, "functions": list(functions)})
    await connection.execute(text("DELETE FROM processes WHERE seen_at < now() - interval '1 minute'"))


_ANNOUNCED = text(
    "SELECT count(*) AS workers, coalesce(array_agg(DISTINCT f) FILTER (WHERE f IS NOT NULL), '{}') AS functions"
    " FROM processes p LEFT JOIN LATERAL unnest(p.functions) AS f ON true"
    " WHERE p.role = 'worker' AND p.seen_at > now() - interval '60 seconds'"
)


async def announced(connection: Connection) -> frozenset[str] | None:
    """The registered functions that live workers have; None while no worker lives."""
    row = (await connection.execute(_ANNOUNCED)).one()
    return frozenset(row.functions) if row.workers else None


async def lease(connection: Connection, owner: UUID, seconds: float) -> list[int]:
    """Renew this process's shards and take free ones up to its fair share; give back what is above it. Returns the shards held."""
    return sorted((await connection.execute(_LEASE, {"owner": owner, "seconds": seconds})).scalars())


async def release(connection: Connection, owner: UUID) -> None:
    """Give every shard back and leave the list of live workers."""
    await connection.execute(_RELEASE, {"owner": owner})
    await connection.execute(_GONE, {"id": owner})


_DUE = text(
    """
    SELECT o.shard, o.seq, o.app, o.user_id, o.kind, o.failures, o.created_at, o.enrollment_id, o.request,
           e.event_id, e.name, e.occurred_at, e.properties, e.seq AS arrival, e.received_at
    FROM unnest(CAST(:shards AS smallint[])) AS s (shard)
    CROSS JOIN LATERAL (SELECT * FROM outbox WHERE shard = s.shard ORDER BY seq LIMIT :per_shard) o
    LEFT JOIN events e ON e.received_at = o.event_received_at AND e.seq = o.event_seq
    ORDER BY o.shard, o.seq
    """
)
_OWNED = "EXISTS (SELECT FROM shards s WHERE s.shard = o.shard AND s.owner = :owner)"
_DELETE = text(
    "DELETE FROM outbox o USING unnest(CAST(:shards AS smallint[]), CAST(:seqs AS bigint[])) AS d (shard, seq)"
    f" WHERE o.shard = d.shard AND o.seq = d.seq AND {_OWNED}"
)
_FAILED = text(f"UPDATE outbox o SET failures = failures + 1 WHERE o.shard = :shard AND o.seq = :seq AND {_OWNED} RETURNING failures")
_QUARANTINE = text(
    "WITH gone AS (DELETE FROM outbox WHERE shard = :shard AND seq = :seq"
    " RETURNING app, user_id, kind, event_received_at, event_seq, enrollment_id, request)"
    " INSERT INTO quarantine (app, user_id, kind, event_received_at, event_seq, enrollment_id, request, reason)"
    " SELECT app, user_id, kind, event_received_at, event_seq, enrollment_id, request, :reason FROM gone"
)


async def due(connection: Connection, shards: Sequence[int], per_shard: int) -> list[OutboxRow]:
    """The oldest rows of these shards, in order within each shard."""
    rows = await connection.execute(_DUE, {"shards": list(shards), "per_shard": per_shard})
    return [
        OutboxRow(
            shard=row.shard,
            seq=row.seq,
            app=row.app,
            user_id=row.user_id,
            kind=row.kind,
            failures=row.failures,
            created_at=row.created_at,
            enrollment_id=row.enrollment_id,
            event=EventFact(row.event_id, row.name, row.occurred_at, row.properties, row.arrival, row.received_at)
            if row.event_id
            else None,
            event_received_at=row.received_at,
            request=_request(row.request) if row.request else None,
        )
        for row in rows
    ]


def _request(stored: Mapping[str, Any]) -> EntryRequest:
    received_at = stored.get("received_at")
    return EntryRequest(
        stored["journey"],
        stored["id"],
        datetime.fromisoformat(stored["occurred_at"]),
        stored["properties"],
        stored.get("name", "requested"),
        datetime.fromisoformat(received_at) if received_at else None,
    )


_ASK = text("""
    INSERT INTO outbox (shard, app, user_id, kind, request)
    SELECT hashint8(r.user_id) & 63, :app, r.user_id, 'request', CAST(r.request AS jsonb)
    FROM unnest(CAST(:user_ids AS bigint[]), CAST(:requests AS text[])) WITH ORDINALITY AS r (user_id, request, n) ORDER BY r.n
""")


async def ask(connection: Connection, app: str, user_id: int, request: EntryRequest) -> None:
    """Ask that this person (by internal id) enters a journey; the relay decides, after the events that came before."""
    await ask_all(connection, app, [(user_id, request)])


async def ask_all(connection: Connection, app: str, requests: Sequence[tuple[int, EntryRequest]]) -> None:
    """The same of several people of an app."""
    written = [orjson.dumps(_stored(request)).decode() for _, request in requests]
    await connection.execute(_ASK, {"app": app, "user_ids": [user_id for user_id, _ in requests], "requests": written})


def _stored(request: EntryRequest) -> Mapping[str, Any]:
    late = {} if request.received_at is None else {"received_at": request.received_at.isoformat()}
    return {
        "journey": request.journey,
        "id": request.id,
        "occurred_at": request.occurred_at.isoformat(),
        "properties": dict(request.properties),
        "name": request.name,
        **late,
    }


async def delete(connection: Connection, owner: UUID, rows: Sequence[OutboxRow]) -> None:
    """Remove what was told, where the lease is still ours: another relay may be at a lost shard, and deletes for itself."""
    await connection.execute(_DELETE, {"owner": owner, "shards": [row.shard for row in rows], "seqs": [row.seq for row in rows]})


async def count_failure(connection: Connection, owner: UUID, row: OutboxRow) -> int:
    """Count one failure that was not transport; returns how many there are now (0: the shard is not ours any more)."""
    return int((await connection.execute(_FAILED, {"owner": owner, "shard": row.shard, "seq": row.seq})).scalar() or 0)


async def put_in_quarantine(connection: Connection, row: OutboxRow, reason: str) -> None:
    """Move a row that cannot be told out of the way of the user's later events, with its reason."""
    await connection.execute(_QUARANTINE, {"shard": row.shard, "seq": row.seq, "reason": reason[:500]})


_HAS_WORKER = text("SELECT EXISTS (SELECT FROM processes WHERE role = 'worker' AND seen_at > now() - interval '60 seconds')")


async def has_worker(connection: Connection) -> bool:
    """Whether some worker process has been seen within the last minute."""
    return bool((await connection.execute(_HAS_WORKER)).scalar_one())
