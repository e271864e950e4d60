"""Somebody who opens our pages: made over the API of the server that the browser sees."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import text

from channels.links import preferences_url, unsubscribe_url
from settings import DEVELOPMENT_SECRET
from storage import apps, keys
from storage.database import Database

TOPICS: list[dict[str, Any]] = [
    {
        "name": "news",
        "title": "News from the workshop",
        "description": "Once a month: what is new, and what we are building.",
        "channels": ["email", "sms"],
    },
    {"name": "offers", "title": "Offers", "description": "Now and then something is cheaper.", "double_opt_in": ["email"]},
    {"name": "orders", "title": "Your orders", "description": "Confirmations, delivery and receipts.", "is_required": True},
]
CONFIRM = {
    "template.toml": 'from = "Shop <shop@example.com>"\nrequired = ["entry.confirm_url", "entry.topic"]\n'
    '[sample.entry]\nconfirm_url = "https://example.com"\ntopic = "x"\n',
    "subject.txt": "Please confirm: {{ entry.topic }}",
    "body.txt": "{{ entry.confirm_url }}",
}


@dataclass(frozen=True)
class Visitor:
    """A person with addresses. `manager` has a secret key of their app."""

    user_id: str
    manager: httpx.AsyncClient
    database: Database
    preferences: str
    unsubscribe: str

    async def said(self) -> list[tuple[str, str, str]]:
        """The whole record, as (channel, topic, state)."""
        history = (await self.manager.get(f"/v1/users/{self.user_id}/consents")).json()["history"]
        return [(entry["channel"], entry["topic"], entry["state"]) for entry in history]

    async def confirm_link(self) -> str:
        """Subscribe to what must be confirmed, and take the link out of the message that was planned."""
        asked = {"user_id": self.user_id, "channel": "email", "topic": "offers"}
        made = await self.manager.post("/v1/subscriptions", json=asked)
        assert (made.status_code, made.json()["state"]) == (201, "pending"), made.text
        async with self.database.transaction() as connection:
            rows = await connection.execute(
                text("SELECT content FROM direct_sends WHERE message_id = CAST(:id AS uuid)"), {"id": made.json()["messages"][0]}
            )
            return str(rows.scalar_one()["data"]["confirm_url"])


@asynccontextmanager
async def furnish(database_url: str, base_url: str) -> AsyncIterator[Visitor]:
    """Make the app once, with its topics, and somebody new in it."""
    database, user_id = Database(database_url, pool_size=2), f"ann-{uuid4().hex[:8]}"
    async with database.transaction() as connection:
        await apps.create(connection, "shop", "The Bicycle Workshop")
        key = await keys.create(connection, "shop", "secret")
    async with httpx.AsyncClient(base_url=base_url, headers={"authorization": f"Bearer {key}"}, timeout=60) as manager:
        assert (await manager.put("/v1/topics", json={"topics": TOPICS})).status_code == 200
        assert (await manager.post("/v1/templates/confirm-subscription/versions", json={"files": CONFIRM})).status_code in {200, 201}
        await manager.put(f"/v1/users/{user_id}", json={})
        path = f"/v1/users/{user_id}/endpoints"
        endpoint = (await manager.post(path, json={"channel": "email", "address": f"{user_id}@example.com"})).json()["id"]
        await manager.post(path, json={"channel": "sms", "address": "+4915112345678"})
        async with database.transaction() as connection:
            person = (await connection.execute(text("SELECT id FROM users WHERE user_id = :id"), {"id": user_id})).scalar_one()
        whose = (DEVELOPMENT_SECRET, "shop", person, endpoint)
        yield Visitor(user_id, manager, database, preferences_url(base_url, *whose), unsubscribe_url(base_url, *whose, "news"))
    await database.close()
