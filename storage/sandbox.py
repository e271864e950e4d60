"""Statements about what the sandbox adapter kept: messages that left nowhere, for people to look at."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class SandboxMessage:
    """One kept message as its receiver would have got it. `sends` above 1 is a double."""

    id: UUID
    channel: str
    recipient: str
    content: dict[str, Any]
    sends: int
    kept_at: datetime


_KEEP = text("""
    INSERT INTO sandbox_messages AS kept (app, id, channel, recipient, content)
    VALUES (:app, :id, :channel, :recipient, :content)
    ON CONFLICT (app, id) DO UPDATE SET sends = kept.sends + 1
""")
# Newest first; ids break ties, so a page never repeats or loses a row. An absent filter or bound is null.
_KEPT = text("""
    SELECT id, channel, recipient, content, sends, kept_at FROM sandbox_messages
    WHERE app = :app
      AND (CAST(:channel AS text) IS NULL OR channel = :channel)
      AND (CAST(:recipient AS text) IS NULL OR recipient = :recipient)
      AND (CAST(:user_id AS bigint) IS NULL OR id IN (SELECT m.id FROM messages m WHERE m.app = :app AND m.user_id = :user_id))
      AND (CAST(:before_at AS timestamptz) IS NULL OR (kept_at, id) < (:before_at, CAST(:before_id AS uuid)))
    ORDER BY kept_at DESC, id DESC LIMIT :limit
""")
_ONE = text("SELECT id, channel, recipient, content, sends, kept_at FROM sandbox_messages WHERE app = :app AND id = :id")
_CLEAR = text("DELETE FROM sandbox_messages WHERE app = :app")


async def keep(connection: Connection, *, app: str, message_id: UUID, channel: str, recipient: str, content: dict[str, Any]) -> None:
    """Keep a message; the same id again only counts: the first content stays."""
    values = {"app": app, "id": message_id, "channel": channel, "recipient": recipient, "content": content}
    await connection.execute(_KEEP, values)


async def kept(
    connection: Connection,
    app: str,
    *,
    channel: str | None = None,
    recipient: str | None = None,
    user_id: int | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 100,
) -> list[SandboxMessage]:
    """List kept messages, newest first; `user_id` is internal; `before` is (kept_at, id) of the last row of the page before."""
    values = {
        "app": app,
        "channel": channel,
        "recipient": recipient,
        "user_id": user_id,
        "before_at": before[0] if before else None,
        "before_id": before[1] if before else None,
        "limit": limit,
    }
    return [SandboxMessage(**row) for row in (await connection.execute(_KEPT, values)).mappings()]


async def one(connection: Connection, app: str, message_id: UUID) -> SandboxMessage | None:
    """One kept message, or None."""
    row = (await connection.execute(_ONE, {"app": app, "id": message_id})).mappings().first()
    return SandboxMessage(**row) if row else None


async def clear(connection: Connection, app: str) -> None:
    """Forget everything that was kept for this app."""
    await connection.execute(_CLEAR, {"app": app})
