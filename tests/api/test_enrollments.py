"""Enrollments over HTTP, with their workflows on a real Temporal server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from api import temporal as api_temporal
from journeys.language import Journey, Send, Wait, days, email, event
from storage.database import Database
from tests.workflows.stage import Stage, stage

JOURNEY = Journey(
    "onboarding",
    starts_on=event("signed_up"),
    message_class="transactional",
    steps=[Wait("settle_in", days(1)), Send("guide", email("guide"))],
)
STORED = """
INSERT INTO users (app, id, user_id) OVERRIDING SYSTEM VALUE VALUES ('demo', 1, 'ann'), ('demo', 2, 'bob');
INSERT INTO identities (app, kind, value, user_id) VALUES ('demo', 'u', 'ann', 1), ('demo', 'u', 'bob', 2);
INSERT INTO journeys (app, name, live_version) VALUES ('demo', 'onboarding', 1), ('demo', 'other', 1);
INSERT INTO journey_versions (app, journey, version, hash, definition, entry_names, listen_names)
    VALUES ('demo', 'onboarding', 1, 'h', '{}', '{}', '{}'), ('demo', 'other', 1, 'h', '{}', '{}', '{}');
INSERT INTO enrollments
    (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name, entered_at, state, end_reason)
    VALUES ('demo', '00000000-0000-8000-8000-000000000001', 1, 'ann', 'onboarding', 1, 1, 'w1', 'e1', 'signed_up', now(), 'open', NULL),
    ('demo', '00000000-0000-8000-8000-000000000002', 2, 'bob', 'onboarding', 1, 1, 'w2', 'e2', 'signed_up', now(), 'closed', 'completed'),
    ('demo', '00000000-0000-8000-8000-000000000003', 1, 'ann', 'other', 1, 1, 'w3', 'e3', 'signed_up', now(), 'open', NULL);
INSERT INTO step_outcomes (app, enrollment_id, step, visit, verdict)
    VALUES ('demo', '00000000-0000-8000-8000-000000000001', 'has_app', 1, '{"kind": "decided", "branch": 0}');
INSERT INTO held_sends (app, enrollment_id, journey, step, visit)
    VALUES ('demo', '00000000-0000-8000-8000-000000000001', 'onboarding', 'guide', 1),
    ('demo', '00000000-0000-8000-8000-000000000002', 'onboarding', 'guide', 1)
"""
OPEN, CLOSED = UUID("00000000-0000-8000-8000-000000000001"), UUID("00000000-0000-8000-8000-000000000002")


@pytest.fixture
async def stored(database: Database) -> None:
    async with database.transaction() as connection:
        for statement in STORED.split(";\n"):
            await connection.exec_driver_sql(statement)


@pytest.fixture
async def scene(database: Database, temporal: str, app: FastAPI) -> AsyncIterator[Stage]:
    """A stage with ann in the journey, whose Temporal the API knows."""
    async with stage(database, temporal) as opened:
        app.state.temporal = opened.client
        await opened.publish(JOURNEY)
        await opened.publish_template("guide")
        await opened.person()
        await opened.track("signed_up")
        yield opened


async def the_one(manager: httpx.AsyncClient) -> dict[str, Any]:
    [row] = (await manager.get("/v1/enrollments")).json()["items"]
    found: dict[str, Any] = (await manager.get(f"/v1/enrollments/{row['id']}")).json()
    return found


async def until_it_waits(manager: httpx.AsyncClient) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            shown = await the_one(manager)
            if shown["where"]["step"] == "settle_in":
                return shown
            await asyncio.sleep(0.05)


@pytest.mark.temporal
async def test_the_running_workflow_says_where_somebody_stands(manager: httpx.AsyncClient, scene: Stage) -> None:
    where = (await until_it_waits(manager))["where"]
    assert (where["source"], where["step"]) == ("workflow", "settle_in")
    assert where["until"] > where["since"]


@pytest.mark.temporal
async def test_advancing_ends_the_wait_and_the_message_goes_out(manager: httpx.AsyncClient, scene: Stage) -> None:
    shown = await until_it_waits(manager)
    assert (await manager.post(f"/v1/enrollments/{shown['id']}/advance")).status_code == 202
    assert await scene.finished(await scene.workflow("onboarding")) == "completed"
    assert await scene.sent() == ["guide"]


@pytest.mark.temporal
async def test_somebody_is_taken_out_with_a_reason_that_is_shown(manager: httpx.AsyncClient, scene: Stage) -> None:
    shown = await until_it_waits(manager)
    assert (await manager.post(f"/v1/enrollments/{shown['id']}/exit", json={"reason": "asked support"})).status_code == 202
    await scene.finished(await scene.workflow("onboarding"))
    assert await scene.sent() == []
    ended = await the_one(manager)
    assert (ended["state"], ended["end_reason"], ended["where"]["words"]) == ("closed", "asked support", "left: asked support")
    again = await manager.post(f"/v1/enrollments/{shown['id']}/exit", json={})
    assert again.status_code == 409


@pytest.mark.temporal
async def test_a_workflow_that_is_not_there_is_a_conflict(
    manager: httpx.AsyncClient, scene: Stage, database: Database, stored_open: UUID
) -> None:
    assert (await manager.post(f"/v1/enrollments/{stored_open}/advance")).status_code == 409


@pytest.fixture
async def stored_open(scene: Stage, database: Database) -> UUID:
    """An open enrollment that has lost its workflow."""
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE enrollments SET workflow_id = 'lost'")
        found: UUID = (await connection.exec_driver_sql("SELECT id FROM enrollments")).scalar_one()
    return found


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [3, 2, 1]),
        ({"user_id": "ann"}, [3, 1]),
        ({"journey": "onboarding"}, [2, 1]),
        ({"state": "closed"}, [2]),
        ({"user_id": "ann", "journey": "other", "state": "open"}, [3]),
        ({"version": 1, "key": "A1"}, []),
        ({"end_reason": "completed"}, [2]),
        ({"end_reason": "exited"}, []),
        ({"held": True}, [1]),
        ({"held": False}, [3, 2]),
        ({"journey": "onboarding", "last_step": "has_app"}, [1]),
        ({"since": "1970-01-01T00:00:00Z"}, [3, 2, 1]),
        ({"until": "1970-01-01T00:00:00Z"}, []),
    ],
)
async def test_enrollments_are_filtered(manager: httpx.AsyncClient, query: dict[str, str], found: list[int]) -> None:
    items = (await manager.get("/v1/enrollments", params=query)).json()["items"]
    assert [int(item["id"][-1]) for item in items] == found


@pytest.mark.usefixtures("stored")
async def test_enrollments_are_paged(manager: httpx.AsyncClient) -> None:
    page = (await manager.get("/v1/enrollments", params={"limit": 2})).json()
    rest = (await manager.get("/v1/enrollments", params={"limit": 2, "cursor": page["next"]})).json()
    assert [int(item["id"][-1]) for item in page["items"] + rest["items"]] == [3, 2, 1]


@pytest.mark.usefixtures("stored")
async def test_a_page_stays_right_though_people_enter_and_leave(manager: httpx.AsyncClient, database: Database) -> None:
    page = (await manager.get("/v1/enrollments", params={"limit": 1})).json()
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE enrollments SET state = 'closed', end_reason = 'completed'")
        await connection.exec_driver_sql(
            "INSERT INTO enrollments (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name, entered_at,"
            " state)"
            " VALUES ('demo', '00000000-0000-8000-8000-000000000004', 2, 'bob', 'other', 1, 1, 'w4', 'e4', 'signed_up', now(), 'open')"
        )
    rest = (await manager.get("/v1/enrollments", params={"limit": 5, "cursor": page["next"]})).json()
    assert [int(item["id"][-1]) for item in page["items"] + rest["items"]] == [3, 2, 1]


@pytest.fixture
def without_temporal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(*_: object, **__: object) -> None:
        raise RuntimeError("nobody listens")

    monkeypatch.setattr(api_temporal, "connect", connect)


@pytest.mark.usefixtures("stored", "without_temporal")
async def test_without_temporal_what_is_stored_answers_and_says_so(manager: httpx.AsyncClient) -> None:
    shown = (await manager.get(f"/v1/enrollments/{OPEN}")).json()
    assert (shown["where"]["source"], shown["where"]["step"]) == ("stored", "has_app")
    assert "the workflow did not answer" in shown["where"]["words"]
    assert [outcome["step"] for outcome in shown["outcomes"]] == ["has_app"]


@pytest.mark.usefixtures("stored", "without_temporal")
async def test_without_temporal_nobody_can_be_advanced_yet(manager: httpx.AsyncClient) -> None:
    answer = await manager.post(f"/v1/enrollments/{OPEN}/advance")
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


@pytest.mark.usefixtures("stored", "without_temporal")
async def test_somebody_is_taken_out_though_temporal_is_away(manager: httpx.AsyncClient) -> None:
    assert (await manager.post(f"/v1/enrollments/{OPEN}/exit", json={})).status_code == 202
    shown = (await manager.get(f"/v1/enrollments/{OPEN}")).json()
    assert (shown["state"], shown["end_reason"]) == ("closed", "exited_by_hand")


@pytest.mark.usefixtures("stored")
async def test_who_has_left_needs_no_workflow_to_say_so(manager: httpx.AsyncClient) -> None:
    where = (await manager.get(f"/v1/enrollments/{CLOSED}")).json()["where"]
    assert (where["source"], where["words"]) == ("ended", "left: they came to its end")


@pytest.mark.parametrize("enrollment", ["x", str(UUID(int=9))])
async def test_an_unknown_enrollment_is_404(manager: httpx.AsyncClient, enrollment: str) -> None:
    assert (await manager.get(f"/v1/enrollments/{enrollment}")).status_code == 404
