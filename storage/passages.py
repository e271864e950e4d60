"""How management reads enrollments: page by page, and how far each has come by what is stored."""

from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

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
    held_step: str | None
    held_at: datetime | None


@dataclass(frozen=True)
class Filter:
    """Which enrollments; None asks for nothing. `user_id` is internal; `is_inside`: not closed; `last_step`: what came to something last.

    `until` and the other instants are compared with the database's clock at the start, not with the entry event's time.
    """

    user_id: int | None = None
    journey: str | None = None
    version: int | None = None
    key: str | None = None
    state: str | None = None
    end_reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    is_held: bool | None = None
    is_inside: bool | None = None
    last_step: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a step came to, or the state of a message that has no verdict yet."""

    step: str
    visit: int
    at: datetime
    verdict: dict[str, Any]


_COLUMNS = (
    "e.id, u.user_id, e.subject, e.journey, e.version, e.key, e.n, e.workflow_id, e.entry_name, e.entry_event_id, e.entry_properties,"
    " e.entered_at, e.started_at, e.state, e.ended_at, e.end_reason, h.step AS held_step, h.held_at"
)
# A row of held_sends may be left over by somebody who has ended meanwhile.
_FROM = (
    "FROM enrollments e LEFT JOIN users u ON u.app = e.app AND u.id = e.user_id"
    " LEFT JOIN held_sends h ON h.app = e.app AND h.enrollment_id = e.id AND e.state <> 'closed'"
)
_ONE = text(f"SELECT {_COLUMNS} {_FROM} WHERE e.app = :app AND e.id = :id")
# An id begins with the moment at which the enrollment started.
_ASKS = {
    "user_id": "e.user_id = :user_id",
    "journey": "e.journey = :journey",
    "version": "e.version = :version",
    "key": "e.key = :key",
    "state": "e.state = :state",
    "end_reason": "(e.end_reason = :end_reason OR e.end_reason LIKE :end_reason || ':%')",
    "since": "e.id >= time_floor(:since)",
    "until": "e.id < time_floor(:until)",
    "is_held": "(e.state <> 'closed' AND EXISTS (SELECT FROM held_sends o WHERE o.app = e.app AND o.enrollment_id = e.id)) = :is_held",
    "is_inside": "(e.state <> 'closed') = :is_inside",
    "last_step": "(SELECT o.step FROM step_outcomes o WHERE o.app = e.app AND o.enrollment_id = e.id AND o.step NOT LIKE '$%'"
    " ORDER BY o.began_at DESC LIMIT 1) = :last_step",
}
# Said without a parameter, so that the partial index of those inside can serve.
_INSIDE = "e.state <> 'closed'"


@cache
def _statement(names: tuple[str, ...], *, forward: bool) -> TextClause:
    """The page for these questions: only what is asked stands in it, so that Postgres can choose an index for it."""
    asks = [_INSIDE if name == "is_inside" else _ASKS[name] for name in names]
    way, order = (">", "ASC") if forward else ("<", "DESC")
    where = " AND ".join(["e.app = :app", f"(CAST(:position AS uuid) IS NULL OR e.id {way} CAST(:position AS uuid))", *asks])
    return text(f"SELECT {_COLUMNS} {_FROM} WHERE {where} ORDER BY e.id {order} LIMIT :most")


@cache
def _count(names: tuple[str, ...]) -> TextClause:
    where = " AND ".join(["e.app = :app", *(_INSIDE if name == "is_inside" else _ASKS[name] for name in names)])
    return text(f"SELECT count(*) FROM enrollments e WHERE {where}")


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
    connection: Connection, app: str, asked: Filter, *, position: UUID | None = None, most: int = 50, forward: bool = False
) -> list[Passage]:
    """The newest enrollments first, or the oldest with `forward` (ids begin with the time); `position` is the last id of the page before.

    A page stays right while rows change: who comes in stands before the first page, and nobody changes their place.
    """
    values = _values(asked)
    statement = _statement(tuple(values), forward=forward)
    rows = await connection.execute(statement, {**values, "app": app, "position": position, "most": most})
    return [Passage(**row) for row in rows.mappings()]


async def count(connection: Connection, app: str, asked: Filter) -> int:
    """How many enrollments a filter finds."""
    values = _values(asked)
    return int((await connection.execute(_count(tuple(values)), {**values, "app": app})).scalar_one())


def _values(asked: Filter) -> dict[str, Any]:
    return {name: value for name, value in asdict(asked).items() if value is not None}


async def outcomes(connection: Connection, app: str, enrollment_id: UUID) -> list[Outcome]:
    """What its steps came to, the earliest first, then the messages that are still under way."""
    decided = await connection.execute(_OUTCOMES, {"app": app, "id": enrollment_id})
    found = [Outcome(**row) for row in decided.mappings()]
    under_way = await connection.execute(_UNDECIDED, {"app": app, "source": str(enrollment_id)})
    return found + [Outcome(**row) for row in under_way.mappings()]
