"""Events that could not be told to journeys five times over, and were put aside so that the user's later events go on."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class Quarantined:
    """One row that was put aside. `event` and `event_id` are null where the event is gone, or the row told of something else."""

    id: int
    user_id: str | None
    kind: str
    event: str | None
    event_id: str | None
    reason: str
    created_at: datetime


_PAGE = text("""
    SELECT q.id, u.user_id, q.kind, e.name AS event, e.event_id, q.reason, q.created_at
    FROM quarantine q LEFT JOIN users u ON u.app = q.app AND u.id = q.user_id
    LEFT JOIN events e ON e.received_at = q.event_received_at AND e.seq = q.event_seq
    WHERE q.app = :app AND (CAST(:before AS bigint) IS NULL OR q.id < :before) ORDER BY q.id DESC LIMIT :most
""")
# Back at the end of the person's queue: what came after it went on long ago.
_RELEASE = text("""
    WITH back AS (
        DELETE FROM quarantine WHERE app = :app AND (CAST(:ids AS bigint[]) IS NULL OR id = ANY(:ids)) AND id <= :last
        RETURNING app, user_id, kind, event_received_at, event_seq, enrollment_id, request
    )
    INSERT INTO outbox (shard, app, user_id, kind, event_received_at, event_seq, enrollment_id, request)
    SELECT hashint8(user_id) & 63, app, user_id, kind, event_received_at, event_seq, enrollment_id, request FROM back RETURNING seq
""")
_LAST = text("SELECT coalesce(max(id), 0) FROM quarantine WHERE app = :app")


async def page(connection: Connection, app: str, *, before: int | None = None, most: int = 50) -> list[Quarantined]:
    """What was put aside, the newest first; `before` is the last id of the page before."""
    rows = await connection.execute(_PAGE, {"app": app, "before": before, "most": most})
    return [Quarantined(**row) for row in rows.mappings()]


async def release(connection: Connection, app: str, ids: list[int] | None) -> int:
    """Let the relay tell these again, or all that are there now; returns how many. What fails again is put aside again."""
    last = (await connection.execute(_LAST, {"app": app})).scalar_one()
    return len((await connection.execute(_RELEASE, {"app": app, "ids": ids, "last": last})).all())
