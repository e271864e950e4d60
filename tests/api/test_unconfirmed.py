"""Saying over HTTP what became of a message of which nobody knew whether it went out."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from storage import keys
from storage.database import Database
from storage.direct_sends import DirectSend, plan_direct

PARTS = {"subject": "Hi", "text": "Ho"}


async def planned(database: Database) -> UUID:
    async with database.transaction() as connection:
        send = DirectSend("demo", "r-1", "email", "transactional", {"parts": PARTS}, None, "ann@example.com")
        return (await plan_direct(connection, send)).ids[0]


@pytest.fixture
async def message_id(database: Database) -> UUID:
    """It left, and no answer came."""
    found = await planned(database)
    lost = "state = 'unknown', reason = 'unconfirmed', answer = 'no answer: ReadTimeout', claimed_at = now(), settled_at = now()"
    await run(database, f"UPDATE messages SET {lost}")
    await run(database, "UPDATE open_messages SET kind = 'unknown'")
    return found


async def run(database: Database, statement: str) -> list[Any]:
    async with database.transaction() as connection:
        done = await connection.execute(text(statement))
        return list(done.all()) if done.returns_rows else []


@pytest.mark.parametrize(("went_out", "state", "reason"), [(True, "sent", None), (False, "given_up", "not_sent")])
async def test_what_is_resolved_is_over_and_leaves_the_list(
    manager: httpx.AsyncClient, database: Database, message_id: UUID, went_out: bool, state: str, reason: str | None
) -> None:
    [listed] = (await manager.get("/v1/messages", params={"state": "unknown"})).json()["items"]
    assert listed["id"] == str(message_id)
    answer = await manager.post(f"/v1/messages/{message_id}/resolve", json={"went_out": went_out})
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["reason"]) == (state, reason)
    assert (await manager.get(f"/v1/messages/{message_id}")).json()["state"] == state
    assert (await manager.get("/v1/messages", params={"state": "unknown"})).json()["items"] == []
    assert await run(database, "SELECT 1 FROM open_messages") == [], "no lane meets it again"


async def test_the_same_again_is_answered_and_the_opposite_is_refused(manager: httpx.AsyncClient, message_id: UUID) -> None:
    path = f"/v1/messages/{message_id}/resolve"
    for _ in range(2):
        assert (await manager.post(path, json={"went_out": True})).status_code == 200
    assert (await manager.post(path, json={"went_out": False})).status_code == 409
    assert (await manager.get(f"/v1/messages/{message_id}")).json()["state"] == "sent"


@pytest.mark.parametrize("went_out", [True, False])
async def test_a_message_that_waits_to_be_sent_cannot_be_resolved(manager: httpx.AsyncClient, database: Database, went_out: bool) -> None:
    waiting = await planned(database)
    assert (await manager.post(f"/v1/messages/{waiting}/resolve", json={"went_out": went_out})).status_code == 409
    assert (await manager.get(f"/v1/messages/{waiting}")).json()["state"] == "planned"
    assert len(await run(database, "SELECT 1 FROM open_messages")) == 1


async def test_nobody_resolves_the_message_of_another_app(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, database: Database, message_id: UUID
) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
        other = await keys.create(connection, "other", "secret")
    foreign = {"authorization": f"Bearer {other}"}
    for unknown in (message_id, "not-an-id"):
        answer = await client.post(f"/v1/messages/{unknown}/resolve", json={"went_out": True}, headers=foreign)
        assert answer.status_code == 404
    assert (await manager.get(f"/v1/messages/{message_id}")).json()["state"] == "unknown"


@pytest.mark.parametrize("body", [{}, {"went_out": "perhaps"}, {"went_out": None}, {"went_out": True, "twice": True}])
async def test_what_is_not_said_clearly_changes_nothing(manager: httpx.AsyncClient, message_id: UUID, body: dict[str, Any]) -> None:
    answer = await manager.post(f"/v1/messages/{message_id}/resolve", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] in {"/went_out", "/twice"}
    assert (await manager.get(f"/v1/messages/{message_id}")).json()["state"] == "unknown"
