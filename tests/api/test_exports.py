"""The copy of everything about a person: whole, theirs alone, and of any length."""

from datetime import UTC, datetime

import httpx
import pytest

from storage import events, exports
from storage.database import Database
from storage.events import Incoming


async def test_everything_that_is_held_is_in_the_copy(
    manager: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "AT_ONCE", 2)
    mail = {"subject": "Hi", "text": "Quill", "from": "us@example.com"}
    for user in ("ann", "bob"):
        await manager.put(f"/v1/users/{user}", json={"attributes": {"email": f"{user}@example.com", "who": f"secret of {user}"}})
        await manager.post(f"/v1/users/{user}/consents", json={"channel": "email", "state": "granted", "source": f"form of {user}"})
        for _ in range(3):
            await manager.post("/v1/messages", json={"channel": "email", "user_id": user, "content": mail})
        items = [
            Incoming(f"{user} {n}", datetime.now(UTC), name="seen", user_id=user, anonymous_id=f"a {user}", joins=True) for n in range(5)
        ]
        async with database.transaction() as connection:
            await events.accept(connection, "demo", items, received_at=datetime.now(UTC))
    answer = await manager.get("/v1/users/ann/export")
    told = answer.json()
    assert answer.headers["content-disposition"] == 'attachment; filename="user.json"'
    assert list(told) == ["user", *exports.SECTIONS]
    assert told["user"]["attributes"]["who"] == "secret of ann"
    assert {(row["kind"], row["value"]) for row in told["ids"]} == {("user_id", "ann"), ("anonymous_id", "a ann")}
    assert [row["address"] for row in told["endpoints"]] == ["ann@example.com"]
    assert [row["source"] for row in told["consents"]] == ["form of ann"]
    assert [(row["address"], row["asked_for"]["parts"]["text"]) for row in told["messages"]] == [("ann@example.com", "Quill")] * 3
    assert [row["event_id"] for row in told["events"]] == [f"ann {n}" for n in range(5)]
    assert "bob" not in answer.text


async def test_what_was_done_under_an_id_that_was_merged_is_in_the_copy(manager: httpx.AsyncClient, database: Database) -> None:
    for user in ("ann", "old-ann"):
        async with database.transaction() as connection:
            item = Incoming(f"e {user}", datetime.now(UTC), name="seen", user_id=user)
            await events.accept(connection, "demo", [item], received_at=datetime.now(UTC))
    await manager.post("/v1/users/ann/merge", json={"from_user_id": "old-ann"})
    told = (await manager.get("/v1/users/old-ann/export")).json()
    assert [row["value"] for row in told["ids"]] == ["ann", "old-ann"]
    assert [row["event_id"] for row in told["events"]] == ["e ann", "e old-ann"]
