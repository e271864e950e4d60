"""What each person sees inside the customer's own app, and what their client told of it.

Every change that a client must hear of takes the next revision of the person's feed, under the lock of the person's row. So revisions of
one person commit in their order, and whoever has seen one has seen every lower one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from journeys.language.errors import NotFound
from storage.database import Connection

MOST_ACTIVE = 100
MOST_EVENTS = 1000
"""Of one message: a client that tells more is not listened to any more."""

EventKind = Literal["impression", "click", "dismiss"]
Position = tuple[int, UUID]
"""(revision, message id): how far a client has heard."""
START: Position = (0, UUID(int=0))


@dataclass(frozen=True)
class Given:
    """A message to put into a feed."""

    id: UUID
    content: Mapping[str, Any]
    placement: str
    in_inbox: bool
    priority: int
    most_shown: int | None
    expires_in: timedelta


@dataclass(frozen=True)
class Shown:
    """One message of a person. `is_active`: to be shown now, if its conditions hold; `is_unread` speaks of the inbox."""

    id: UUID
    revision: int
    content: Mapping[str, Any]
    placement: str
    in_inbox: bool
    priority: int
    impressions: int
    created_at: datetime
    expires_at: datetime
    read_at: datetime | None
    archived_at: datetime | None
    is_active: bool


@dataclass(frozen=True)
class Told:
    """One event of a client."""

    id: str
    kind: EventKind
    occurred_at: datetime


# Whoever the ledger's row is of now; a join that commits while we wait for the lock has left its survivor in merged_into.
_PUT = text("""
    WITH theirs AS (
        SELECT u.id, u.merged_into FROM messages m JOIN users u ON u.app = m.app AND u.id = m.user_id
        WHERE m.app = :app AND m.id = :id FOR NO KEY UPDATE OF u
    ), bumped AS (
        INSERT INTO in_app_feeds AS f (app, user_id, revision) SELECT :app, coalesce(merged_into, id), 1 FROM theirs
        ON CONFLICT (app, user_id) DO UPDATE SET revision = f.revision + 1 RETURNING user_id, revision
    )
    INSERT INTO in_app_messages AS s (app, id, user_id, revision, placement, in_inbox, priority, most_shown, content, expires_at)
    SELECT :app, :id, user_id, revision, :placement, :in_inbox, :priority, CAST(:most_shown AS integer), CAST(:content AS jsonb),
        clock_timestamp() + make_interval(secs => :expires_in_s)
    FROM bumped
    ON CONFLICT (app, id) DO UPDATE SET revision = EXCLUDED.revision, placement = EXCLUDED.placement, in_inbox = EXCLUDED.in_inbox,
        priority = EXCLUDED.priority, most_shown = EXCLUDED.most_shown, content = EXCLUDED.content
    RETURNING id
""")
_PERSON = "(SELECT i.user_id FROM identities i WHERE i.app = :app AND i.kind = 'u' AND i.value = :user_id)"
_IS_ACTIVE = """s.placement <> 'inbox' AND s.dismissed_at IS NULL AND s.expires_at > now()
    AND (s.most_shown IS NULL OR s.impressions < s.most_shown)"""
_COLUMNS = f"""s.id, s.revision, s.content, s.placement, s.in_inbox, s.priority, s.impressions, s.created_at, s.expires_at, s.read_at,
    s.archived_at, {_IS_ACTIVE} AS is_active"""
_THEIRS = f"FROM in_app_messages s WHERE s.app = :app AND s.user_id = {_PERSON}"
_IN_INBOX = "s.in_inbox AND s.archived_at IS NULL AND s.expires_at > now()"
_ACTIVE = text(f"SELECT {_COLUMNS} {_THEIRS} AND {_IS_ACTIVE} ORDER BY s.priority, s.created_at DESC, s.id LIMIT {MOST_ACTIVE}")
_INBOX = text(f"""
    SELECT {_COLUMNS} {_THEIRS} AND {_IN_INBOX}
        AND (CAST(:at AS timestamptz) IS NULL OR (s.created_at, s.id) < (:at, CAST(:before AS uuid)))
    ORDER BY s.created_at DESC, s.id DESC LIMIT :most
""")
_UNREAD = text(f"SELECT count(*) {_THEIRS} AND {_IN_INBOX} AND s.read_at IS NULL")
_CHANGES = text(f"""
    SELECT {_COLUMNS} {_THEIRS} AND (s.revision, s.id) > (:revision, CAST(:after AS uuid)) ORDER BY s.revision, s.id LIMIT :most
""")
# The person first, as a claim, an event and a join do: nobody waits for another in a ring.
_LOCK = text(f"SELECT FROM users WHERE app = :app AND id = {_PERSON} FOR NO KEY UPDATE")
_ONE = text(f"SELECT {_COLUMNS} {_THEIRS} AND s.id = :id")
_NOTE = text(f"""
    INSERT INTO in_app_events (app, message_id, event_id, kind, occurred_at)
    SELECT :app, :id, :event_id, :kind, :occurred_at
    WHERE (SELECT count(*) FROM in_app_events e WHERE e.app = :app AND e.message_id = :id) < {MOST_EVENTS}
    ON CONFLICT (app, message_id, event_id) DO NOTHING RETURNING kind
""")
_COUNT = text("UPDATE in_app_messages SET impressions = impressions + 1 WHERE app = :app AND id = :id")
_BUMP = text(f"UPDATE in_app_feeds SET revision = revision + 1 WHERE app = :app AND user_id = {_PERSON} RETURNING revision")
_MARK = text(f"""
    UPDATE in_app_messages s SET revision = :revision,
        dismissed_at = CASE WHEN :dismissed THEN coalesce(s.dismissed_at, now()) ELSE s.dismissed_at END,
        read_at = CASE WHEN :read THEN coalesce(s.read_at, now()) ELSE s.read_at END,
        archived_at = CASE WHEN :archived THEN coalesce(s.archived_at, now()) ELSE s.archived_at END
    WHERE s.app = :app AND s.user_id = {_PERSON} AND s.id = :id
""")
_READ_ALL = text(f"""
    UPDATE in_app_messages s SET revision = :revision, read_at = now()
    WHERE s.app = :app AND s.user_id = {_PERSON} AND {_IN_INBOX} AND s.read_at IS NULL
""")
_REVISIONS = text("""
    SELECT w.app, w.user_id, f.revision FROM unnest(CAST(:apps AS text[]), CAST(:user_ids AS text[])) AS w (app, user_id)
    JOIN identities i ON i.app = w.app AND i.kind = 'u' AND i.value = w.user_id
    JOIN in_app_feeds f ON f.app = i.app AND f.user_id = i.user_id
""")
_FORGET = text("""
    DELETE FROM in_app_messages WHERE (app, id) IN (SELECT app, id FROM in_app_messages WHERE expires_at < now() LIMIT :most)
""")


async def put(connection: Connection, app: str, given: Given) -> bool:
    """Put a message into the feed of whom its ledger row names, or what it says now; once, however often. False: they are gone."""
    values = {name: value for name, value in vars(given).items() if name != "expires_in"}
    done = await connection.execute(_PUT, {**values, "app": app, "expires_in_s": given.expires_in.total_seconds()})
    return done.first() is not None


async def active(connection: Connection, app: str, user_id: str) -> list[Shown]:
    """What is to be shown to them now, by priority, then the newest first; MOST_ACTIVE at most. `user_id` is the caller's."""
    return [Shown(**row) for row in (await connection.execute(_ACTIVE, {"app": app, "user_id": user_id})).mappings()]


async def inbox(
    connection: Connection, app: str, user_id: str, *, before: tuple[datetime, UUID] | None = None, most: int = 50
) -> list[Shown]:
    """Their inbox, the newest first, without what they archived; `before` is (created_at, id) of the last one of the page before."""
    at, last = before or (None, None)
    values = {"app": app, "user_id": user_id, "at": at, "before": last, "most": most}
    return [Shown(**row) for row in (await connection.execute(_INBOX, values)).mappings()]


async def unread(connection: Connection, app: str, user_id: str) -> int:
    """How many messages of their inbox they have not read."""
    return int((await connection.execute(_UNREAD, {"app": app, "user_id": user_id})).scalar_one())


async def changes(connection: Connection, app: str, user_id: str, after: Position, most: int) -> list[Shown]:
    """Messages that changed after a position, in the order of their changes."""
    values = {"app": app, "user_id": user_id, "revision": after[0], "after": after[1], "most": most}
    return [Shown(**row) for row in (await connection.execute(_CHANGES, values)).mappings()]


async def note(connection: Connection, app: str, user_id: str, message_id: UUID, told: Told) -> bool:
    """Take down what their client told of a message, once, under the lock of their row. True: it is news.

    Raises NotFound, for a message of somebody else too.
    """
    shown = await _one_locked(connection, app, user_id, message_id)
    values = {"app": app, "id": message_id, "event_id": told.id, "kind": told.kind, "occurred_at": told.occurred_at}
    if (await connection.execute(_NOTE, values)).first() is None:
        return False
    if told.kind == "impression":
        await connection.execute(_COUNT, {"app": app, "id": message_id})
    is_over = shown.is_active and not (await _one(connection, app, user_id, message_id)).is_active
    reads = told.kind == "click" and shown.in_inbox and shown.read_at is None
    if is_over or reads or told.kind == "dismiss":
        await _mark(connection, app, user_id, message_id, dismissed=told.kind == "dismiss", read=reads)
    return True


async def read(connection: Connection, app: str, user_id: str, message_id: UUID) -> None:
    """A message of their inbox is read. Raises NotFound."""
    if (await _of_inbox(connection, app, user_id, message_id)).read_at is None:
        await _mark(connection, app, user_id, message_id, read=True)


async def archive(connection: Connection, app: str, user_id: str, message_id: UUID) -> None:
    """A message leaves their inbox. Raises NotFound."""
    if (await _of_inbox(connection, app, user_id, message_id)).archived_at is None:
        await _mark(connection, app, user_id, message_id, archived=True)


async def read_all(connection: Connection, app: str, user_id: str) -> int:
    """Every message of their inbox is read; returns how many were not."""
    keys = {"app": app, "user_id": user_id}
    await connection.execute(_LOCK, keys)
    revision = (await connection.execute(_BUMP, keys)).scalar()
    return 0 if revision is None else (await connection.execute(_READ_ALL, {**keys, "revision": revision})).rowcount


async def revisions(connection: Connection, people: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
    """The revision of the feed of each (app, user id); who never had a message is left out."""
    values = {"apps": [app for app, _ in people], "user_ids": [user_id for _, user_id in people]}
    return {(row.app, row.user_id): row.revision for row in await connection.execute(_REVISIONS, values)}


async def forget_expired(connection: Connection, most: int) -> int:
    """Delete messages that are over, with what was told of them; returns how many. Their rows in the ledger stay."""
    return (await connection.execute(_FORGET, {"most": most})).rowcount


async def _one_locked(connection: Connection, app: str, user_id: str, message_id: UUID) -> Shown:
    await connection.execute(_LOCK, {"app": app, "user_id": user_id})
    return await _one(connection, app, user_id, message_id)


async def _one(connection: Connection, app: str, user_id: str, message_id: UUID) -> Shown:
    row = (await connection.execute(_ONE, {"app": app, "user_id": user_id, "id": message_id})).mappings().first()
    if row is None:
        raise NotFound("no such message")
    return Shown(**row)


async def _of_inbox(connection: Connection, app: str, user_id: str, message_id: UUID) -> Shown:
    shown = await _one_locked(connection, app, user_id, message_id)
    if not shown.in_inbox:
        raise NotFound("no such message")
    return shown


async def _mark(
    connection: Connection, app: str, user_id: str, message_id: UUID, *, dismissed: bool = False, read: bool = False, archived: bool = False
) -> None:
    keys = {"app": app, "user_id": user_id}
    revision = (await connection.execute(_BUMP, keys)).scalar_one()
    await connection.execute(
        _MARK, {**keys, "id": message_id, "revision": revision, "dismissed": dismissed, "read": read, "archived": archived}
    )
