"""When people read: one person's readings, and by the hour those of everybody in an app.

A reading is an event `message_opened` or `message_clicked`, which is written for people only, never for machines.
"""

from datetime import datetime

from sqlalchemy import text

from storage.database import Connection

# Of several openings of one message the first one counts.
_READ_AT = text("""
SELECT min(e.occurred_at) AS at FROM events e
WHERE e.app = :app AND e.name IN ('message_opened', 'message_clicked') AND e.occurred_at > CAST(:since AS timestamptz)
  AND e.user_id IN (SELECT u.id FROM users u WHERE u.app = :app AND (u.id = :user_id OR u.merged_into = :user_id))
GROUP BY e.name, coalesce(e.properties ->> 'message_id', e.event_id) ORDER BY at DESC LIMIT :most
""")
_OF_EVERYBODY = text("SELECT hours FROM reading_hours WHERE app = :app")
_BEGIN = text("""
INSERT INTO reading_hours (app, hours, counted_until)
SELECT a.id, array_fill(0::double precision, ARRAY[24]), now() - interval '7 days' FROM apps a ON CONFLICT DO NOTHING
""")
# Each event is read once, in the hour after it came, by whichever process looks first. What was counted halves every 30 days.
_COUNT = text("""
WITH due AS MATERIALIZED (
  SELECT app, counted_until FROM reading_hours WHERE counted_until < CAST(:until AS timestamptz) - interval '50 minutes'
  ORDER BY app FOR UPDATE SKIP LOCKED
), came AS (
  SELECT e.app, CAST(extract(hour FROM e.occurred_at AT TIME ZONE known_zone(coalesce(u.timezone, a.settings ->> 'timezone'))) AS integer)
    AS hour, count(*) AS readings
  FROM events e JOIN due d ON d.app = e.app AND e.received_at > d.counted_until
  JOIN users u ON u.app = e.app AND u.id = e.user_id JOIN apps a ON a.id = e.app
  WHERE e.received_at > (SELECT min(counted_until) FROM due) AND e.received_at <= CAST(:until AS timestamptz)
    AND e.name IN ('message_opened', 'message_clicked') AND NOT e.is_history GROUP BY 1, 2
)
UPDATE reading_hours r SET counted_until = CAST(:until AS timestamptz), hours = ARRAY(
  SELECT r.hours[h + 1] * power(0.5, extract(epoch FROM CAST(:until AS timestamptz) - r.counted_until) / 2592000)
    + coalesce((SELECT c.readings FROM came c WHERE c.app = r.app AND c.hour = h), 0) FROM generate_series(0, 23) AS h ORDER BY h)
FROM due WHERE r.app = due.app RETURNING r.app
""")


async def read_at(connection: Connection, app: str, user_id: int, since: datetime, *, most: int = 200) -> list[datetime]:
    """When somebody (by internal id) opened or clicked a message since then, the newest first."""
    return list((await connection.execute(_READ_AT, {"app": app, "user_id": user_id, "since": since, "most": most})).scalars())


async def of_everybody(connection: Connection, app: str) -> list[float]:
    """How many readings of the app's people fell into each hour of their day, older ones weighing less; empty before any were counted."""
    found: list[float] | None = (await connection.execute(_OF_EVERYBODY, {"app": app})).scalar()
    return found or []


async def count_everybody(connection: Connection, until: datetime) -> int:
    """Add the readings that came up to then, of every app whose hour is over; return of how many."""
    await connection.execute(_BEGIN)
    return len((await connection.execute(_COUNT, {"until": until})).all())
