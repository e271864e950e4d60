"""Whose next message waits because sending is paused: written when a claim finds it so, read for lists, taken from on resume."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection

# The pause is read again under a lock that resuming takes too: who is written down here is found by the resume that comes after.
_APP_IS_PAUSED = text("SELECT id FROM apps WHERE id = :app AND paused_at IS NOT NULL FOR SHARE")
_JOURNEY_IS_PAUSED = text("SELECT name FROM journeys WHERE app = :app AND name = :journey AND paused_at IS NOT NULL FOR SHARE")
_HOLD = text("""
    INSERT INTO held_sends (app, enrollment_id, journey, step, visit) VALUES (:app, :enrollment_id, :journey, :step, :visit)
    ON CONFLICT (app, enrollment_id) DO UPDATE SET step = EXCLUDED.step, visit = EXCLUDED.visit, held_at = EXCLUDED.held_at
    WHERE (held_sends.step, held_sends.visit) <> (EXCLUDED.step, EXCLUDED.visit)
""")
_TAKE = text("""
    SELECT h.enrollment_id, h.step, e.workflow_id, e.state FROM held_sends h
    JOIN enrollments e ON e.app = h.app AND e.id = h.enrollment_id
    JOIN apps a ON a.id = h.app AND a.paused_at IS NULL
    LEFT JOIN journeys j ON j.app = h.app AND j.name = h.journey
    WHERE h.app = :app AND (CAST(:journey AS text) IS NULL OR h.journey = :journey) AND j.paused_at IS NULL
    ORDER BY h.journey, h.enrollment_id LIMIT :most
""")
_COUNT = text("""
    SELECT h.journey, count(*) AS people FROM held_sends h JOIN enrollments e ON e.app = h.app AND e.id = h.enrollment_id
    WHERE h.app = :app AND e.state <> 'closed' GROUP BY h.journey
""")
_FORGET = text("DELETE FROM held_sends WHERE app = :app AND enrollment_id = ANY(:ids)")


@dataclass(frozen=True)
class Held:
    """One enrollment whose message waits."""

    enrollment_id: UUID
    step: str
    workflow_id: str
    state: str


async def hold(connection: Connection, app: str, enrollment_id: str, journey: str, step: str, visit: int) -> bool:
    """Write down that this message waits; False when sending was resumed in the meantime."""
    names = {"app": app, "journey": journey}
    paused = await connection.execute(_APP_IS_PAUSED, {"app": app})
    if paused.first() is None and (await connection.execute(_JOURNEY_IS_PAUSED, names)).first() is None:
        return False
    await connection.execute(_HOLD, {**names, "enrollment_id": enrollment_id, "step": step, "visit": visit})
    return True


async def released(connection: Connection, app: str, journey: str | None, most: int) -> list[Held]:
    """Some of those whose message need not wait any more; none while what they are in is paused again."""
    return [Held(**row) for row in (await connection.execute(_TAKE, {"app": app, "journey": journey, "most": most})).mappings()]


async def forget(connection: Connection, app: str, ids: list[UUID]) -> None:
    """They have been woken."""
    await connection.execute(_FORGET, {"app": app, "ids": ids})


async def counts(connection: Connection, app: str) -> dict[str, int]:
    """How many messages wait, by journey."""
    return {row.journey: row.people for row in await connection.execute(_COUNT, {"app": app})}
