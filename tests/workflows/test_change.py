"""2,000 people are inside while their journey is edited: they finish what they began, new ones take the new, and some are moved."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from temporalio.worker import UnsandboxedWorkflowRunner

from api.app import create_app
from journeys.language import Journey, Send, Wait, WaitFor, days, email, event
from journeys.language.codec import to_json
from settings import Settings
from storage import keys
from storage.database import Database
from storage.events import Address
from tests.activities.provider import Provider
from tests.workflows.stage import FILES, Stage, stage

pytestmark = [pytest.mark.temporal, pytest.mark.e2e, pytest.mark.crash]

PEOPLE = int(os.environ.get("SOJOURN_CHANGE_PEOPLE", "2000"))
AT_ONE_STEP, NEW = PEOPLE // 10, 20
WITHIN_S = 400.0
THANKS, GUIDE, TIP = Send("thanks", email("thanks")), Send("guide", email("guide")), Send("tip", email("tip"))


def journey(reminder: str, *behind: Send) -> Journey:
    """Who browses is thanked and waits at `cooling`; who does not is reminded."""
    steps = [
        WaitFor(
            "browsed",
            event("product_viewed"),
            within=days(7),
            then=[THANKS, Wait("cooling", days(1)), *behind],
            otherwise=[Send(reminder, email(reminder))],
        )
    ]
    return Journey("tour", starts_on=event("signed_up"), message_class="transactional", steps=steps)


BEFORE = journey("reminder", GUIDE)
AFTER = journey("coupon", TIP, GUIDE)


@pytest.fixture
async def scene(database: Database, temporal: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setenv("SOJOURN_TEST_MAX_CACHED", str(2 * PEOPLE))
    async with stage(database, temporal, with_virtual_time=False, runner=UnsandboxedWorkflowRunner()) as opened:
        yield opened


@pytest.fixture
async def app(scene: Stage, database: Database, database_url: str) -> AsyncIterator[FastAPI]:
    app = create_app(Settings(database_url=database_url, temporal_task_queue=scene.temporal.task_queue), database, scene.client)
    yield app
    await app.state.notify.close()
    await app.state.renderer.close()


@pytest.fixture
async def manager(app: FastAPI, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with database.transaction() as connection:
        key = await keys.create(connection, "demo", "secret", "ops")
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sojourn", headers=headers, timeout=60) as client:
        yield client


async def test_2000_people_inside_a_journey_that_is_edited(manager: httpx.AsyncClient, scene: Stage) -> None:
    mail = scene.answers("email", "ok")
    await publish(manager, BEFORE, "apply")
    old = [f"old-{number}" for number in range(PEOPLE)]
    await come(scene, "signed_up", old)
    moving, staying = old[:AT_ONE_STEP], old[AT_ONE_STEP:]
    await come(scene, "product_viewed", moving)
    await sent(mail, AT_ONE_STEP)

    plan = await publish(manager, AFTER, "plan")
    [change] = plan["journeys"]
    assert (change["change"], change["inside"]) == ("changed", {"1": PEOPLE})
    assert "tip" in {each["step"] for each in change["differences"] if each["kind"] == "added"}
    await publish(manager, AFTER, "apply", plan={"fingerprint": plan["fingerprint"], "basis": plan["basis"]})
    new = [f"new-{number}" for number in range(NEW)]
    await come(scene, "signed_up", new)
    assert await versions(scene) == {1: PEOPLE, 2: NEW}

    asked = {"to": 2, "at": "cooling", "last_step": "thanks"}
    looked = await move(manager, **asked)
    result = await done(manager, looked["job"])
    assert result == {"can": [{"step": "cooling", "to": "cooling", "people": AT_ONE_STEP}], "cannot": []}
    moved = await done(manager, (await move(manager, **asked, dry_run=False, fingerprint=looked["fingerprint"]))["job"])
    assert (moved["moved"], moved["waiting"]) == (AT_ONE_STEP, 0)
    assert await versions(scene) == {1: len(staying), 2: NEW + AT_ONE_STEP}

    advanced = await manager.post("/v1/enrollments/bulk", json={"action": "advance", "where": {"journey": "tour"}, "dry_run": False})
    assert await done(manager, advanced.json()["job"]) == {"told": PEOPLE + NEW}
    expected = Counter((name, "reminder") for name in staying) + Counter((name, "coupon") for name in new)
    expected += Counter((name, step) for name in moving for step in ("thanks", "tip", "guide"))
    await sent(mail, expected.total())
    async with asyncio.timeout(WITHIN_S):
        while set(await scene.enrollments()) != {("closed", "completed")}:  # noqa: ASYNC110 - workflows are elsewhere
            await asyncio.sleep(0.5)
    assert await who_got_what(scene, mail) == expected


async def publish(manager: httpx.AsyncClient, written: Journey, verb: str, **agreed: Any) -> Any:
    files = {name: {**FILES, "subject.txt": name} for name in ("thanks", "guide", "tip", "reminder", "coupon")}
    body = {"journeys": [orjson.loads(to_json(written))], "templates": files, **agreed}
    answer = await manager.post(f"/v1/journeys/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def come(scene: Stage, name: str, people: Sequence[str]) -> None:
    """Everybody does it, a hundred a batch; journeys are told while the next ones come."""
    now = datetime.now(UTC)
    for first in range(0, len(people), 100):
        batch = people[first : first + 100]
        items = [
            scene.item(name, who, occurred_at=now, event_id=f"{name} {who}", addresses=(Address("email", f"{who}@example.com"),))
            for who in batch
        ]
        await scene.accept(*items)
    async with asyncio.timeout(WITHIN_S):
        await scene.relay_all()


async def versions(scene: Stage) -> dict[int, int]:
    return {row.version: row.n for row in await scene.execute("SELECT version, count(*) AS n FROM enrollments GROUP BY 1")}


async def sent(mail: Provider, number: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len(mail.record) < number:  # noqa: ASYNC110 - workflows are elsewhere
            await asyncio.sleep(0.1)


async def move(manager: httpx.AsyncClient, **body: Any) -> Any:
    answer = await manager.post("/v1/journeys/tour/moves", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def done(manager: httpx.AsyncClient, job: dict[str, Any]) -> Any:
    async with asyncio.timeout(WITHIN_S):
        while True:
            seen = (await manager.get(f"/v1/jobs/{job['id']}")).json()
            assert seen["state"] in ("running", "done"), seen
            if seen["state"] == "done":
                return seen["result"]
            await asyncio.sleep(0.2)


async def who_got_what(scene: Stage, mail: Provider) -> Counter[tuple[str, str]]:
    """(person, step) of every mail that the provider took: each message once, by its id."""
    steps = {row.id: row.step for row in await scene.execute("SELECT id, step FROM messages")}
    return Counter((line.address.partition("@")[0], steps[line.message_id]) for line in mail.record)
