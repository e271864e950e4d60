"""What management does to those inside, one by one and many at once: moving, letting go on, taking out, pausing and resuming."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from journeys.language import Journey, Send, Wait, WaitFor, days, email, event, push
from settings import Settings
from storage import keys
from storage.database import Database
from tests.workflows.stage import Stage, stage

pytestmark = pytest.mark.temporal

FIRST = Journey(
    "tour",
    starts_on=event("signed_up"),
    message_class="transactional",
    steps=[Send("welcome", email("welcome")), Wait("settle_in", days(1)), Send("guide", push("guide")), Wait("rest", days(3))],
)
SECOND = Journey(
    "tour",
    starts_on=event("signed_up"),
    message_class="transactional",
    steps=[Send("welcome", email("welcome")), Wait("settle_in", days(1)), Send("coupon", push("coupon")), Send("guide", push("guide"))],
)
LISTENING = Journey(
    "listening",
    starts_on=event("signed_up"),
    message_class="transactional",
    steps=[WaitFor("bought", event("order_placed"), within=days(3))],
)
Manage = Callable[..., Awaitable[Any]]


@pytest.fixture
async def scene(database: Database, temporal: str) -> AsyncIterator[Stage]:
    async with stage(database, temporal) as opened:
        await opened.publish_template("welcome", "guide", "coupon")
        yield opened


@pytest.fixture
async def app(scene: Stage, database: Database, database_url: str) -> AsyncIterator[FastAPI]:
    settings = Settings(database_url=database_url, temporal_task_queue=scene.temporal.task_queue)
    app = create_app(settings, database, scene.client)
    yield app
    await app.state.notify.close()
    await app.state.renderer.close()


@pytest.fixture
async def secret_key(database: Database) -> str:
    async with database.transaction() as connection:
        return await keys.create(connection, "demo", "secret", "support desk")


async def enter(scene: Stage, *users: str, journey: Journey = FIRST) -> None:
    await scene.publish(journey)
    for user in users:
        await scene.person(user)
        await scene.track("signed_up", user)


async def ready(scene: Stage, people: int) -> None:
    """Until so many have their welcome."""
    async with asyncio.timeout(30):
        while (await scene.sent()).count("welcome") < people:  # noqa: ASYNC110 - workflows are elsewhere
            await asyncio.sleep(0.05)


async def done(manager: httpx.AsyncClient, job: dict[str, Any]) -> Any:
    """The result of a job once it is done."""
    async with asyncio.timeout(60):
        while True:
            seen = (await manager.get(f"/v1/jobs/{job['id']}")).json()
            assert seen["state"] in ("running", "done"), seen
            if seen["state"] == "done":
                return seen["result"]
            await asyncio.sleep(0.1)


async def standing_at(manager: httpx.AsyncClient, step: str, people: int) -> list[str]:
    """The ids of those inside, once so many stand at a step."""
    async with asyncio.timeout(30):
        while True:
            rows = (await manager.get("/v1/enrollments", params={"state": "open"})).json()["items"]
            shown = [(await manager.get(f"/v1/enrollments/{row['id']}")).json() for row in rows]
            if sum(each["where"]["step"] == step for each in shown) == people:
                return [each["id"] for each in shown]
            await asyncio.sleep(0.1)


async def move(manager: httpx.AsyncClient, **body: Any) -> Any:
    answer = await manager.post("/v1/journeys/tour/moves", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def test_a_move_is_asked_first_and_then_done(manager: httpx.AsyncClient, scene: Stage) -> None:
    await enter(scene, "ann", "bob", "cleo")
    await standing_at(manager, "settle_in", 3)
    await scene.publish(SECOND)
    looked = await move(manager, to=2)
    assert await done(manager, looked["job"]) == {"can": [{"step": "settle_in", "to": "settle_in", "people": 3}], "cannot": []}
    assert [row.version for row in await scene.execute("SELECT version FROM enrollments")] == [1, 1, 1]
    begun = await move(manager, to=2, dry_run=False, fingerprint=looked["fingerprint"])
    result = await done(manager, begun["job"])
    assert (result["moved"], result["refused_since"], result["waiting"]) == (3, {}, 0)
    [shown] = (await manager.get("/v1/enrollments", params={"user_id": scene.name("ann")})).json()["items"]
    inspected = (await manager.get(f"/v1/enrollments/{shown['id']}")).json()
    assert (inspected["version"], inspected["where"]["step"]) == (2, "settle_in")
    assert [(each["words"], each["done_by"]) for each in inspected["interventions"]] == [
        ("moved from version 1 to version 2, at settle_in", "support desk")
    ]
    timeline = (await manager.get(f"/v1/users/{scene.name('ann')}/timeline")).json()["items"]
    assert "tour: moved from version 1 to version 2, at settle_in (by support desk)" in [line["words"] for line in timeline]


async def test_a_move_without_its_dry_run_is_refused(manager: httpx.AsyncClient, scene: Stage) -> None:
    await enter(scene, "ann")
    await scene.publish(SECOND)
    for fingerprint in (None, "0" * 16):
        answer = await manager.post("/v1/journeys/tour/moves", json={"to": 2, "dry_run": False, "fingerprint": fingerprint})
        assert answer.status_code == 409


async def test_a_move_is_refused_once_people_are_inside_another_version_than_it_looked_at(manager: httpx.AsyncClient, scene: Stage) -> None:
    await enter(scene, "ann")
    await scene.publish(SECOND)
    looked = await move(manager, to=2)
    third = Journey("tour", starts_on=event("signed_up"), steps=[Wait("settle_in", days(2))])
    await enter(scene, "bob", journey=third)
    answer = await manager.post("/v1/journeys/tour/moves", json={"to": 2, "dry_run": False, "fingerprint": looked["fingerprint"]})
    assert answer.status_code == 409


async def test_who_cannot_be_moved_is_counted_with_the_reason(manager: httpx.AsyncClient, scene: Stage) -> None:
    await enter(scene, "ann", "bob")
    ids = await standing_at(manager, "settle_in", 2)
    await manager.post(f"/v1/enrollments/{ids[0]}/advance")
    await standing_at(manager, "rest", 1)
    await scene.publish(SECOND)
    result = await done(manager, (await move(manager, to=2))["job"])
    assert result["cannot"] == [{"reason": "no_such_step", "step": "rest", "to": "rest", "people": 1}]
    result = await done(manager, (await move(manager, to=2, at="settle_in"))["job"])
    assert result["cannot"] == [{"reason": "elsewhere", "step": "rest", "to": "rest", "people": 1}]


@pytest.mark.parametrize("body", [{"steps": {"settle_in": "nowhere"}}, {"steps": {"nowhere": "guide"}}, {"at": "nowhere"}, {"from": 2}])
async def test_a_map_that_names_what_is_nowhere_is_refused_at_once(manager: httpx.AsyncClient, scene: Stage, body: dict[str, Any]) -> None:
    await enter(scene, "ann")
    await scene.publish(SECOND)
    assert (await manager.post("/v1/journeys/tour/moves", json={"to": 2, **body})).status_code == 422


async def test_one_person_is_moved(manager: httpx.AsyncClient, scene: Stage) -> None:
    await enter(scene, "ann")
    [ann] = await standing_at(manager, "settle_in", 1)
    await scene.publish(SECOND)
    looked = (await manager.post(f"/v1/enrollments/{ann}/move", json={"to": 2, "dry_run": True})).json()
    assert (looked["told"], looked["step"], looked["to"], looked["reason"]) == (None, "settle_in", "settle_in", None)
    refused = await manager.post(f"/v1/enrollments/{ann}/move", json={"to": 2, "steps": {"settle_in": "welcome"}})
    assert (refused.status_code, "begun that step before" in refused.json()["detail"]) == (409, True)
    assert (await manager.post(f"/v1/enrollments/{ann}/move", json={"to": 2, "steps": {"settle_in": "guide"}})).status_code == 202
    assert await scene.finished(await scene.workflow("tour", "ann")) == "completed"
    assert await scene.sent() == ["welcome", "guide"]
    assert (await manager.post(f"/v1/enrollments/{ann}/move", json={"to": 2})).status_code == 409


async def test_many_are_taken_out_after_a_count(manager: httpx.AsyncClient, scene: Stage) -> None:
    await enter(scene, "ann", "bob", "cleo")
    await ready(scene, 3)
    body = {"action": "exit", "reason": "recalled", "where": {"journey": "tour"}}
    counted = (await manager.post("/v1/enrollments/bulk", json=body)).json()
    assert counted == {"people": 3, "job": None}
    begun = (await manager.post("/v1/enrollments/bulk", json={**body, "dry_run": False})).json()
    assert await done(manager, begun["job"]) == {"taken_out": 3}
    assert await scene.enrollments() == [("closed", "recalled")] * 3
    for user in ("ann", "bob", "cleo"):
        assert await scene.finished(await scene.workflow("tour", user)) == "recalled"


async def test_those_of_whom_a_condition_holds_are_let_go_on(manager: httpx.AsyncClient, scene: Stage) -> None:
    await enter(scene, "ann", "bob")
    await scene.accept(scene.item("identified", "bob", traits={"plan": "gold"}))
    await standing_at(manager, "settle_in", 2)
    condition = {"kind": "compare", "op": "==", "left": {"kind": "trait", "path": "plan"}, "right": "gold"}
    body = {"action": "advance", "where": {"journey": "tour", "condition": condition}, "dry_run": False}
    begun = (await manager.post("/v1/enrollments/bulk", json=body)).json()
    assert await done(manager, begun["job"]) == {"told": 1}
    await standing_at(manager, "rest", 1)
    assert await scene.sent() == ["welcome", "welcome", "guide"]


async def test_many_get_an_event_by_the_way_that_every_event_comes(manager: httpx.AsyncClient, scene: Stage) -> None:
    await enter(scene, "ann", "bob", journey=LISTENING)
    body = {"action": "event", "event": "order_placed", "where": {"journey": "listening"}, "dry_run": False}
    begun = (await manager.post("/v1/enrollments/bulk", json=body)).json()
    assert await done(manager, begun["job"]) == {"accepted": 2}
    await scene.relay_all()
    for user in ("ann", "bob"):
        assert await scene.finished(await scene.workflow("listening", user)) == "completed"


async def test_what_is_held_is_shown_and_leaves_at_once_on_resume(manager: httpx.AsyncClient, scene: Stage) -> None:
    await scene.publish(FIRST)
    assert (await manager.post("/v1/journeys/tour/pause")).status_code == 200
    await enter(scene, "ann", "bob")
    async with asyncio.timeout(20):
        while (await manager.get("/v1/journeys")).json()["items"][0]["held"] != 2:  # noqa: ASYNC110 - workflows are elsewhere
            await asyncio.sleep(0.05)
    held = (await manager.get("/v1/enrollments", params={"held": True})).json()["items"]
    assert [row["held_step"] for row in held] == ["welcome", "welcome"]
    assert (await manager.get("/v1/enrollments", params={"held": False})).json()["items"] == []
    assert await scene.sent() == []
    resumed = (await manager.post("/v1/journeys/tour/resume")).json()
    assert resumed["held"] == 2
    assert await done(manager, resumed["job"]) == {"woken": 2}
    async with asyncio.timeout(10):
        await ready(scene, 2)
    assert (await manager.get("/v1/journeys")).json()["items"][0]["held"] == 0


async def test_resuming_wakes_nobody_from_a_wait(manager: httpx.AsyncClient, scene: Stage) -> None:
    await enter(scene, "ann")
    await standing_at(manager, "settle_in", 1)
    handle = await scene.workflow("tour", "ann")
    await handle.signal("release")
    now = await scene.pass_time(handle, timedelta(hours=23))
    assert now is not None
    assert await scene.sent() == ["welcome"]


async def test_pausing_everything_stops_what_leaves_within_a_second(manager: httpx.AsyncClient, scene: Stage) -> None:
    await enter(scene, "ann")
    [ann] = await standing_at(manager, "settle_in", 1)
    assert (await manager.post("/v1/pause")).json()["is_paused"] is True
    await manager.post(f"/v1/enrollments/{ann}/advance")
    await enter(scene, "bob")
    await asyncio.sleep(1)
    assert await scene.sent() == ["welcome"]
    held = (await manager.get("/v1/enrollments", params={"held": True})).json()["items"]
    assert sorted(row["held_step"] for row in held) == ["guide", "welcome"]
    resumed = (await manager.post("/v1/resume")).json()
    assert await done(manager, resumed["job"]) == {"woken": 2}
    await standing_at(manager, "rest", 1)
    await ready(scene, 2)
