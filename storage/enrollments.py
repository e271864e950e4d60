"""Who is in which journey. This table decides entry, re-entry and ending; Temporal only runs what it says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from journeys.language.errors import NotFound
from journeys.language.facts import EventFact
from storage.database import Connection


@dataclass(frozen=True)
class Enrollment:
    """One person's passage through one version of a journey."""

    app: str
    id: UUID
    user_id: int
    subject: str
    journey: str
    version: int
    key: str
    n: int
    workflow_id: str
    entry: EventFact
    started_at: datetime
    state: str
    end_reason: str | None
    end_event_id: str | None


_COLUMNS = (
    "e.app, e.id, e.user_id, e.subject, e.journey, e.version, e.key, e.n, e.workflow_id, e.entry_event_id, e.entry_name,"
    " e.entry_properties, e.entered_at, e.started_at, e.state, e.end_reason, e.end_event_id"
)


def _enrollment(row: Any) -> Enrollment:
    return Enrollment(
        app=row.app,
        id=row.id,
        user_id=row.user_id,
        subject=row.subject,
        journey=row.journey,
        version=row.version,
        key=row.key,
        n=row.n,
        workflow_id=row.workflow_id,
        entry=EventFact(row.entry_event_id, row.entry_name, row.entered_at, row.entry_properties),
        started_at=row.started_at,
        state=row.state,
        end_reason=row.end_reason,
        end_event_id=row.end_event_id,
    )


_GET = text(f"SELECT {_COLUMNS} FROM enrollments e WHERE e.app = :app AND e.id = :id")
_LISTENING = text(
    f"SELECT {_COLUMNS} FROM enrollments e JOIN journey_versions v ON v.app = e.app AND v.journey = e.journey AND v.version = e.version"
    " WHERE e.app = :app AND e.user_id = :user_id AND :name = ANY(v.listen_names) AND (e.state <> 'closed' OR e.end_event_id = :event_id)"
    " ORDER BY e.started_at, e.id"
)
_OF_EVENT = text(f"SELECT {_COLUMNS} FROM enrollments e WHERE e.app = :app AND e.journey = :journey AND e.entry_event_id = :event_id")
_LAST = text(
    f"SELECT {_COLUMNS} FROM enrollments e WHERE e.app = :app AND e.user_id = :user_id AND e.journey = :journey AND e.key = :key"
    " ORDER BY e.state = 'closed', e.started_at DESC LIMIT 1"
)
_NEXT = text(
    "SELECT coalesce(max(n), 0) + 1 AS n, clock_timestamp() AS now FROM enrollments"
    " WHERE app = :app AND journey = :journey AND key = :key AND subject = :subject"
)
_NOW = text("SELECT clock_timestamp()")
_INSERT = text(
    "INSERT INTO enrollments (app, id, user_id, subject, journey, version, key, n, workflow_id, entry_event_id, entry_name,"
    " entry_properties, entered_at, started_at, state, ended_at, end_reason)"
    " VALUES (:app, :id, :user_id, :subject, :journey, :version, :key, :n, :workflow_id, :entry_event_id, :entry_name,"
    " :entry_properties, :entered_at, :started_at, :state, CASE WHEN :state = 'closed' THEN clock_timestamp() END, :end_reason)"
)
_OPEN = text("UPDATE enrollments SET state = 'open' WHERE app = :app AND id = ANY(:ids) AND state = 'starting'")
_CLOSE = text(
    "UPDATE enrollments SET state = 'closed', ended_at = clock_timestamp(), end_reason = :reason, end_event_id = :event_id"
    " WHERE app = :app AND id = :id AND state <> 'closed' RETURNING id"
)
_SET_VERSION = text("UPDATE enrollments SET version = :version WHERE app = :app AND id = :id")
_REFUSE = text(
    "INSERT INTO refused_entries (app, journey, event_id, user_id, reason) VALUES (:app, :journey, :event_id, :user_id, :reason)"
    " ON CONFLICT DO NOTHING"
)
_EVENTS_SINCE = text(
    "SELECT ev.event_id, ev.name, ev.occurred_at, ev.properties, ev.seq, ev.received_at FROM events ev"
    " WHERE ev.app = :app AND ev.user_id IN (SELECT u.id FROM users u WHERE u.app = :app AND (u.id = :user_id OR u.merged_into = :user_id))"
    " AND ev.name = ANY(:names) AND ev.occurred_at >= :since AND NOT ev.is_history ORDER BY ev.occurred_at, ev.seq LIMIT :most"
)


async def get(connection: Connection, app: str, enrollment_id: str | UUID) -> Enrollment:
    """One enrollment. Raises NotFound."""
    row = (await connection.execute(_GET, {"app": app, "id": enrollment_id})).first()
    if row is None:
        raise NotFound("no such enrollment")
    return _enrollment(row)


async def listening(connection: Connection, app: str, user_id: int, event: EventFact) -> list[Enrollment]:
    """The person's enrollments that this event concerns: not closed, or closed by this very event; the oldest first."""
    key = {"app": app, "user_id": user_id, "name": event.name, "event_id": event.id}
    return [_enrollment(row) for row in await connection.execute(_LISTENING, key)]


async def started_by(connection: Connection, app: str, journey: str, event_id: str) -> Enrollment | None:
    """The enrollment that this entry event made, whatever became of it."""
    row = (await connection.execute(_OF_EVENT, {"app": app, "journey": journey, "event_id": event_id})).first()
    return _enrollment(row) if row else None


async def last(connection: Connection, app: str, user_id: int, journey: str, key: str) -> Enrollment | None:
    """The person's enrollment in this journey under this key: the open one (a join may have closed a younger one), else the newest."""
    row = (await connection.execute(_LAST, {"app": app, "user_id": user_id, "journey": journey, "key": key})).first()
    return _enrollment(row) if row else None


async def next_place(connection: Connection, app: str, journey: str, key: str, subject: str) -> tuple[int, datetime]:
    """The number of the subject's next enrollment (part of the workflow id, which must never come twice), and the database's clock."""
    row = (await connection.execute(_NEXT, {"app": app, "journey": journey, "key": key, "subject": subject})).one()
    return int(row.n), row.now


async def database_now(connection: Connection) -> datetime:
    """The database's clock, which all durable moments come from."""
    now: datetime = (await connection.execute(_NOW)).scalar_one()
    return now


async def insert(connection: Connection, enrollment: Enrollment) -> None:
    """Write a new enrollment: starting, or closed at once for the holdout."""
    await connection.execute(
        _INSERT,
        {
            "app": enrollment.app,
            "id": enrollment.id,
            "user_id": enrollment.user_id,
            "subject": enrollment.subject,
            "journey": enrollment.journey,
            "version": enrollment.version,
            "key": enrollment.key,
            "n": enrollment.n,
            "workflow_id": enrollment.workflow_id,
            "entry_event_id": enrollment.entry.id,
            "entry_name": enrollment.entry.name,
            "entry_properties": enrollment.entry.properties,
            "entered_at": enrollment.entry.occurred_at,
            "started_at": enrollment.started_at,
            "state": enrollment.state,
            "end_reason": enrollment.end_reason,
        },
    )


async def mark_open(connection: Connection, app: str, ids: Sequence[UUID]) -> None:
    """Their workflows run. A row closed meanwhile stays closed."""
    await connection.execute(_OPEN, {"app": app, "ids": list(ids)})


async def close(connection: Connection, app: str, enrollment_id: str | UUID, reason: str, event_id: str | None = None) -> bool:
    """End an enrollment: nothing is sent for it any more. Returns False when it was closed already (its reason stays)."""
    key = {"app": app, "id": enrollment_id, "reason": reason, "event_id": event_id}
    return (await connection.execute(_CLOSE, key)).first() is not None


async def set_version(connection: Connection, app: str, enrollment_id: UUID, version: int) -> None:
    """Let the enrollment go on in another version of its journey: events are told to it by that version's names from now on."""
    await connection.execute(_SET_VERSION, {"app": app, "id": enrollment_id, "version": version})


async def refuse(connection: Connection, app: str, *, journey: str, event_id: str, user_id: int, reason: str) -> None:
    """Record why an entry event started nothing."""
    await connection.execute(_REFUSE, {"app": app, "journey": journey, "event_id": event_id, "user_id": user_id, "reason": reason})


_REFUSAL = text("SELECT reason FROM refused_entries WHERE app = :app AND journey = :journey AND event_id = :event_id")


async def refusal(connection: Connection, app: str, journey: str, event_id: str) -> str | None:
    """Why this entry event, or request, started nothing; None where it did, or is not decided yet."""
    reason: str | None = (await connection.execute(_REFUSAL, {"app": app, "journey": journey, "event_id": event_id})).scalar()
    return reason


async def events_since(connection: Connection, app: str, user_id: int, names: Sequence[str], since: datetime, most: int) -> list[EventFact]:
    """The person's live events of these names from `since` on, the earliest first, people merged into this one included."""
    key = {"app": app, "user_id": user_id, "names": list(names), "since": since, "most": most}
    rows = await connection.execute(_EVENTS_SINCE, key)
    return [EventFact(row.event_id, row.name, row.occurred_at, row.properties, row.seq, row.received_at) for row in rows]


_LOCK = text(
    "SELECT id, user_id, merged_into FROM users WHERE app = :app"
    " AND id = (SELECT coalesce(merged_into, id) FROM users WHERE app = :app AND id = :user_id) FOR NO KEY UPDATE"
)
_ANONYMOUS = text("SELECT value FROM identities WHERE app = :app AND user_id = :user_id AND kind = 'a' ORDER BY created_at, value LIMIT 1")


async def lock_person(connection: Connection, app: str, user_id: int) -> tuple[int, str]:
    """Lock the row of whoever this internal id belongs to now; returns their internal id and the id that the caller knows them by."""
    while True:
        row = (await connection.execute(_LOCK, {"app": app, "user_id": user_id})).first()
        if row is None:
            raise NotFound("no such user")
        if row.merged_into is None:
            break
        user_id = row.merged_into
    subject = row.user_id or (await connection.execute(_ANONYMOUS, {"app": app, "user_id": row.id})).scalar_one_or_none()
    return int(row.id), str(subject or row.id)


_STALE_STARTING = text(
    f"SELECT {_COLUMNS} FROM enrollments e WHERE e.state = 'starting' AND e.id > :after"
    " AND e.started_at < now() - make_interval(secs => :seconds)"
    " ORDER BY e.id LIMIT :most"
)
_OPEN_AFTER = text(
    f"SELECT {_COLUMNS} FROM enrollments e WHERE e.state = 'open' AND e.id > :after"
    " AND e.started_at < now() - make_interval(secs => :seconds)"
    " ORDER BY e.id LIMIT :most"
)


async def stale_starting(connection: Connection, after: UUID, seconds: float, most: int) -> list[Enrollment]:
    """A page of the enrollments of every app whose workflow should have been started by now, by id."""
    return [_enrollment(row) for row in await connection.execute(_STALE_STARTING, {"after": after, "seconds": seconds, "most": most})]


async def open_after(connection: Connection, after: UUID, seconds: float, most: int) -> list[Enrollment]:
    """A page of the open enrollments of every app, older than `seconds`, by id."""
    return [_enrollment(row) for row in await connection.execute(_OPEN_AFTER, {"after": after, "seconds": seconds, "most": most})]
