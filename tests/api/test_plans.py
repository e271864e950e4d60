"""A plan and its apply over HTTP: what was planned is published, or the answer says what has changed."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import orjson

from journeys.language import Journey, Send, Wait, days, email, event
from journeys.language.codec import to_json
from storage import journeys
from storage.database import Database

FILES = {"template.toml": 'from = "a@example.com"\n', "subject.txt": "Hello", "body.txt": "Hello. {{ links.unsubscribe }}"}


def publication(wait: int = 1, **more: Any) -> dict[str, Any]:
    journey = Journey("welcome", starts_on=event("signed_up"), steps=[Wait("settle_in", days(wait)), Send("hello", email("hello"))])
    return {"journeys": [orjson.loads(to_json(journey))], "templates": {"hello": FILES}, **more}


async def planned(manager: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    """The publication with the plan that somebody agreed to."""
    answer = (await manager.post("/v1/journeys/plan", json=body)).raise_for_status().json()
    return {**body, "plan": {"fingerprint": answer["fingerprint"], "basis": answer["basis"]}}


async def test_a_plan_is_published_while_nothing_has_changed(manager: httpx.AsyncClient) -> None:
    answer = await manager.post("/v1/journeys/apply", json=await planned(manager, publication()))
    assert answer.json()["versions"] == {"welcome": 1}


async def test_a_plan_of_other_files_is_refused(manager: httpx.AsyncClient) -> None:
    agreed = await planned(manager, publication())
    for other in (publication(wait=2), publication(paused=True)):
        answer = await manager.post("/v1/journeys/apply", json={**other, "plan": agreed["plan"]})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "other_publication")


async def test_what_has_changed_is_named_and_nothing_is_published(manager: httpx.AsyncClient) -> None:
    await manager.post("/v1/journeys/apply", json=publication())
    agreed = await planned(manager, publication(wait=2))
    await manager.post("/v1/journeys/apply", json={"journeys": publication()["journeys"], "templates": {"bye": FILES}, "paused": True})
    await manager.post("/v1/pause")
    answer = await manager.post("/v1/journeys/apply", json=agreed)
    assert answer.status_code == 409
    changed = "sending was paused; journey welcome takes no entries any more; template bye was published (version 1)"
    assert answer.json()["detail"] == f"since this plan was made, {changed}. Nothing was published: look at a new plan"
    assert (await manager.get("/v1/journeys/welcome")).json()["live_version"] == 1


async def test_what_changes_while_a_plan_is_being_published_is_seen(manager: httpx.AsyncClient, database: Database) -> None:
    await manager.post("/v1/journeys/apply", json=publication())
    agreed = await planned(manager, publication(wait=2))
    async with database.transaction() as connection:
        await journeys.lock_publishing(connection, "demo")
        publishing = asyncio.create_task(manager.post("/v1/journeys/apply", json=agreed))
        await asyncio.sleep(0.5)
        await connection.exec_driver_sql("UPDATE journeys SET accepts_entries = false")
    assert (await publishing).status_code == 409


async def test_differences_come_as_values_too(manager: httpx.AsyncClient) -> None:
    await manager.post("/v1/journeys/apply", json=publication())
    [change] = (await manager.post("/v1/journeys/plan", json=publication(wait=2))).json()["journeys"]
    assert change["differences"] == [
        {
            "kind": "changed",
            "step": "settle_in",
            "words": "duration is 2 days, was 1 day",
            "field": "duration",
            "before": "1 day",
            "after": "2 days",
        }
    ]


async def test_people_are_told_by_the_step_at_which_they_stand_and_whether_they_could_be_moved(
    manager: httpx.AsyncClient, database: Database
) -> None:
    await manager.post("/v1/journeys/apply", json=publication())
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO users (app, id, user_id) OVERRIDING SYSTEM VALUE VALUES ('demo', 1, 'ann')")
        await connection.exec_driver_sql(
            "INSERT INTO enrollments (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name, entered_at,"
            f" state) VALUES ('demo', '{UUID(int=7)}', 1, 'ann', 'welcome', 1, 1, 'w', 'e', 'signed_up', now(), 'open')"
        )
        await connection.exec_driver_sql(
            "INSERT INTO report_counts (app, journey, hour, version, split, arm, what, step, detail, n)"
            " VALUES ('demo', 'welcome', date_trunc('hour', now()), 1, '', '', 'inside', '', '', 1)"
        )
    longer = await told(manager, publication(wait=2))
    assert longer["inside"] == {"1": 1}
    assert longer["at_steps"] == [{"version": 1, "step": "settle_in", "people": 1, "stays": None}]
    shorter = publication()
    del shorter["journeys"][0]["steps"][0]
    assert (await told(manager, shorter))["at_steps"][0]["stays"] == "no_such_step"


async def told(manager: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    [change] = (await manager.post("/v1/journeys/plan", json=body)).raise_for_status().json()["journeys"]
    assert isinstance(change, dict)
    return change
