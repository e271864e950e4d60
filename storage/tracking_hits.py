"""Opens and clicks as they come in: written in one short statement, judged and removed by a worker a few seconds later."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class Hit:
    """Somebody or something fetched a pixel or followed a link. `machine` says why it was no person; empty: it may have been one."""

    app: str
    message_id: UUID
    kind: Literal["open", "click"]
    link: bytes = b""
    machine: str = ""
    at: datetime | None = None
    """When it came, where that is not now."""


@dataclass(frozen=True)
class Waiting:
    """A hit as the judge meets it. `url` is where the link leads; `sent_at` when the message was claimed, None when it is gone."""

    hit: Hit
    at: datetime
    minute: datetime
    url: str | None
    sent_at: datetime | None


_NOTE = text("""
INSERT INTO tracking_hits (app, message_id, kind, hash, machine, minute, at)
SELECT :app, :message_id, :kind, :hash, :machine, date_trunc('minute', t.at, 'UTC'), t.at
FROM (SELECT coalesce(CAST(:at AS timestamptz), clock_timestamp()) AS at) t ON CONFLICT DO NOTHING
""")
# One judge at a time in all processes: what belongs together is seen together. Rows are read without a lock, because an erasure removes
# them after it has locked their people, and the judge locks people too.
_MAY_JUDGE = text("SELECT pg_try_advisory_xact_lock(7305213)")
# A message is due when its oldest hit has rested and none has just come, so that several at once are judged as such.
_DUE = text("""
WITH oldest AS (
  SELECT DISTINCT message_id FROM (
    SELECT message_id FROM tracking_hits WHERE at <= clock_timestamp() - make_interval(secs => :rest_s) ORDER BY at LIMIT :most) o
), due AS (
  SELECT message_id FROM tracking_hits JOIN oldest USING (message_id) GROUP BY message_id
  HAVING max(at) <= clock_timestamp() - make_interval(secs => :quiet_s)
    OR min(at) <= clock_timestamp() - make_interval(secs => :patience_s)
)
SELECT h.app, h.message_id, h.kind, h.hash, h.machine, h.minute, h.at, m.claimed_at, coalesce(
    (SELECT l.url FROM message_links l WHERE l.app = h.app AND l.message_id = h.message_id AND l.hash = h.hash),
    (SELECT l.url FROM tracked_links l WHERE l.app = h.app AND l.hash = h.hash)) AS url
FROM tracking_hits h JOIN due USING (message_id) LEFT JOIN messages m ON m.app = h.app AND m.id = h.message_id
ORDER BY h.app, h.at, h.message_id, h.kind, h.hash
""")
_DROP = text("""
DELETE FROM tracking_hits h
USING unnest(CAST(:apps AS text[]), CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:hashes AS bytea[]), CAST(:machines AS text[]),
  CAST(:minutes AS timestamptz[])) AS g (app, message_id, kind, hash, machine, minute)
WHERE (h.app, h.message_id, h.kind, h.hash, h.machine, h.minute) = (g.app, g.message_id, g.kind, g.hash, g.machine, g.minute)
""")


async def note(connection: Connection, hit: Hit) -> None:
    """Write one down. The same again within the minute is the same."""
    values = {"app": hit.app, "message_id": hit.message_id, "kind": hit.kind, "hash": hit.link, "machine": hit.machine, "at": hit.at}
    await connection.execute(_NOTE, values)


async def due(connection: Connection, *, rest: timedelta, quiet: timedelta, patience: timedelta, most: int) -> Sequence[Waiting]:
    """Hits to be judged now, by app and time, all of a message together; none while another process judges.

    A message is due `rest` after its first hit, once none has come for `quiet`, and after `patience` in any case.
    """
    if not (await connection.execute(_MAY_JUDGE)).scalar():
        return []
    seconds = {"rest_s": rest.total_seconds(), "quiet_s": quiet.total_seconds(), "patience_s": patience.total_seconds()}
    rows = await connection.execute(_DUE, {**seconds, "most": most})
    return [
        Waiting(Hit(row.app, row.message_id, row.kind, row.hash, row.machine), row.at, row.minute, row.url, row.claimed_at) for row in rows
    ]


async def drop(connection: Connection, judged: Sequence[Waiting]) -> None:
    """Remove what has been judged."""
    values = {
        "apps": [each.hit.app for each in judged],
        "ids": [each.hit.message_id for each in judged],
        "kinds": [each.hit.kind for each in judged],
        "hashes": [each.hit.link for each in judged],
        "machines": [each.hit.machine for each in judged],
        "minutes": [each.minute for each in judged],
    }
    await connection.execute(_DROP, values)
