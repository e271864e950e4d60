"""People with the app open: messages are put into their feeds, and their clients ask for them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from sqlalchemy import text

from channels.in_app.parts import InAppParts
from storage import in_app
from storage.database import Database
from storage.ids import time_ordered_id
from storage.in_app import Given

_ROW = text("""
    INSERT INTO messages (id, app, user_id, source, step, visit, target, channel, message_class, state)
    SELECT CAST(CAST(:id AS text) AS uuid), CAST(:app AS text), u.user_id,
        'direct:' || CAST(:id AS text), 'direct', 1, 'user', 'in_app', 'marketing', 'sent'
    FROM identities u WHERE u.app = :app AND u.kind = 'u' AND u.value = :user_id
""")


async def add_person(database: Database, user_id: str, app: str = "demo") -> None:
    async with database.transaction() as connection:
        row = await connection.execute(
            text("INSERT INTO users (app, user_id) VALUES (:app, :user_id) RETURNING id"), {"app": app, "user_id": user_id}
        )
        await connection.execute(
            text("INSERT INTO identities (app, kind, value, user_id) VALUES (:app, 'u', :value, :id)"),
            {"app": app, "value": user_id, "id": row.scalar_one()},
        )


async def show(database: Database, user_id: str, content: Mapping[str, Any] | None = None, *, app: str = "demo", **changes: Any) -> UUID:
    """Put a message into somebody's feed, as the worker does: a row of the ledger, then the feed."""
    parts = InAppParts.model_validate({"body": "Hello", **(content or {})})
    given = Given(
        id=time_ordered_id(datetime.now(UTC), str(uuid4())),
        content=parts.shown(),
        placement=parts.placement,
        in_inbox=parts.inbox or parts.placement == "inbox",
        priority=parts.priority,
        most_shown=parts.caps.total,
        expires_in=changes.pop("expires_in", parts.expires_in),
    )
    async with database.transaction() as connection:
        await connection.execute(_ROW, {"id": str(given.id), "app": app, "user_id": user_id})
        assert await in_app.put(connection, app, given)
    return given.id


async def expire(database: Database, message_id: UUID) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            text("UPDATE in_app_messages SET expires_at = now() - CAST(:by AS interval) WHERE id = :id"),
            {"id": message_id, "by": timedelta(seconds=1)},
        )


async def token_for(manager: httpx.AsyncClient, user_id: str, **query: Any) -> str:
    answer = await manager.post(f"/v1/users/{user_id}/client-token", params=query)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["client_token"])


@asynccontextmanager
async def reading(app: FastAPI, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """The client of a user."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sojourn", headers={"authorization": f"Bearer {token}"}) as client:
        yield client
