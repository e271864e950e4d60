"""How management reads enrollments: page by page, and how far each has come by what is stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from journeys.language.errors import NotFound
from storage.database import Connection


@dataclass(frozen=True)
class Passage:
    """One enrollment as people ask for it. `subject` is the id at entry, `user_id` the caller's id now."""

    id: UUID
    user_id: str | None
    subject: str
    journey: str
    version: int
    key: str
    n: int
    workflow_id: str
    entry_name: str
    entry_event_id: str
    entry_properties: dict[str, Any]
    entered_at: datetime
    started_at: datetime
    state: str
    ended_at: datetime | None
    end_reason: str | None


@dataclass(frozen=True)
class Outcome:
    """What a step came to, or the state of a message that has no verdict yet."""

    step: str
    visit: int
    at: datetime
    verdict: dict[str, Any]


_COLUMNS = (
    "e.id, u.user_id, e.subject, e.journey, e.version, e.key, e.n, e.workflow_id, e.entry_name, e.entry_event_id, e.entry_properties,"
    " e.entered_at, e.started_at, e.state, e.ended_at, e.end_reason"
)
_FROM = "FROM enrollments e JOIN users u ON u.app = e.app AND u.id = e.user_id"
_ONE = text(f"SELECT {_COLUMNS} {_FROM} WHERE e.app = :app AND e.id = :id")
_PAGE = text(f"""
    SELECT {_COLUMNS} {_FROM}
    WHERE e.app = :app AND (CAST(:user_id AS bigint) IS NULL OR e.user_id = :user_id)
        AND (CAST(:journey AS text) IS NULL OR e.journey = :journey) AND (CAST(:state AS text) IS NULL OR e.state = :state)
        AND (CAST(:before AS uuid) IS NULL OR e.id < CAST(:before AS uuid))
    ORDER BY e.id DESC LIMIT :most
""")
_OUTCOMES = text(
    "SELECT step, visit, began_at AS at, verdict FROM step_outcomes WHERE app = :app AND enrollment_id = :id ORDER BY began_at"
)
_UNDECIDED = text("""
    SELECT m.step, m.visit, coalesce(m.claimed_at, m.planned_at) AS at,
        jsonb_build_object('kind', 'message', 'state', m.state, 'reason', m.reason, 'until', m.deferred_until) AS verdict
    FROM messages m WHERE m.app = :app AND m.source = :source AND m.state IN ('planned', 'deferred', 'claimed', 'unknown') ORDER BY 3
""")


async def passage(connection: Connection, app: str, enrollment_id: UUID) -> Passage:
    """One enrollment. Raises NotFound."""
    row = (await connection.execute(_ONE, {"app": app, "id": enrollment_id})).mappings().first()
    if row is None:
        raise NotFound("no such enrollment")
    return Passage(**row)


async def page(
    connection: Connection,
    app: str,
    *,
    user_id: int | None = None,
    journey: str | None = None,
    state: str | None = None,
    before: UUID | None = None,
    most: int = 50,
) -> list[Passage]:
    """The newest enrollments first (ids begin with the time). `user_id` is internal; `before` the last id of the page before."""
    key = {"app": app, "user_id": user_id, "journey": journey, "state": state, "before": before, "most": most}
    return [Passage(**row) for row in (await connection.execute(_PAGE, key)).mappings()]


async def outcomes(connection: Connection, app: str, enrollment_id: UUID) -> list[Outcome]:
    """What its steps came to, the earliest first, then the messages that are still under way."""
    decided = await connection.execute(_OUTCOMES, {"app": app, "id": enrollment_id})
    found = [Outcome(**row) for row in decided.mappings()]
    under_way = await connection.execute(_UNDECIDED, {"app": app, "source": str(enrollment_id)})
    return found + [Outcome(**row) for row in under_way.mappings()]
