"""Letting somebody in by hand: what is refused at once, what the relay decides, and asking what came of it."""

import json
from typing import Any

import httpx
import pytest

from journeys.language import Journey, Wait, days, event, prop, requested
from journeys.language.codec import to_json
from storage import outbox
from storage.database import Database
from storage.outbox import SHARDS
from workflows.definitions import Definitions
from workflows.entry import Entry

WAITING = [Wait("long", days(3))]


async def publish(manager: httpx.AsyncClient, *journeys: Journey) -> None:
    applied = await manager.post("/v1/journeys/apply", json={"journeys": [json.loads(to_json(journey)) for journey in journeys]})
    assert applied.status_code == 200, applied.text


async def ask(manager: httpx.AsyncClient, journey: str = "by-hand", user: str = "ann", **more: Any) -> httpx.Response:
    headers = more.pop("headers", {})
    return await manager.post(f"/v1/journeys/{journey}/enrollments", json={"user_id": user, **more}, headers=headers)


async def decide(database: Database) -> None:
    """What a worker's relay does with requests, without Temporal."""
    entry = Entry(Definitions())
    async with database.transaction() as connection:
        for row in await outbox.due(connection, range(SHARDS), 100):
            if row.request is not None:
                await entry.admit(connection, row.app, row.user_id, row.request)
        await connection.exec_driver_sql("DELETE FROM outbox")


@pytest.fixture
async def known(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/users/ann", json={"attributes": {}})
    await publish(
        manager,
        Journey("by-hand", starts_on=requested(), steps=WAITING),
        Journey("keyed", starts_on=event("ordered"), key=prop("order_id"), steps=WAITING),
    )


@pytest.mark.usefixtures("known")
async def test_somebody_is_let_in_and_one_can_ask_what_came_of_it(manager: httpx.AsyncClient, database: Database) -> None:
    asked = await ask(manager, properties={"from": "support"})
    assert asked.status_code == 202
    path = f"/v1/journeys/by-hand/requests/{asked.json()['id']}"
    assert (await manager.get(path)).json()["state"] == "waiting"
    await decide(database)
    found = (await manager.get(path)).json()
    assert found["state"] == "entered"
    inside = (await manager.get(f"/v1/enrollments/{found['enrollment']}")).json()
    assert (inside["user_id"], inside["entry_name"], inside["entry_properties"]) == ("ann", "requested", {"from": "support"})


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(("journey", "times", "reason"), [("by-hand", 2, "already_in"), ("keyed", 1, "no_key")])
async def test_a_refusal_says_why(manager: httpx.AsyncClient, database: Database, journey: str, times: int, reason: str) -> None:
    for _ in range(times):
        asked = await ask(manager, journey)
    await decide(database)
    found = (await manager.get(f"/v1/journeys/{journey}/requests/{asked.json()['id']}")).json()
    assert (found["state"], found["reason"]) == ("refused", reason)
    assert " " in found["words"]


@pytest.mark.usefixtures("known")
async def test_the_same_idempotency_key_asks_once(manager: httpx.AsyncClient, database: Database) -> None:
    answers = [await ask(manager, headers={"idempotency-key": "k1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    async with database.transaction() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM outbox WHERE kind = 'request'")).scalar() == 1


@pytest.mark.usefixtures("known")
async def test_who_or_what_is_not_there_is_said_at_once(manager: httpx.AsyncClient) -> None:
    assert (await ask(manager, "nowhere")).status_code == 404
    unknown = await ask(manager, user="nobody")
    assert unknown.status_code == 422
    assert unknown.json()["errors"][0]["pointer"] == "/user_id"
    assert (await ask(manager, properties=[])).status_code == 422
    assert (await manager.get("/v1/journeys/nowhere/requests/1")).status_code == 404
