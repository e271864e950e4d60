import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from journeys.language import Call, Journey, Send, email, event, function
from journeys.language.codec import to_json
from storage import outbox
from storage.database import Database

TEMPLATES = {"hello": {"subject.txt": "Hello", "body.txt": "Welcome. {{ links.unsubscribe }}"}}


def definition(name: str = "welcome", **more: Any) -> Any:
    return json.loads(to_json(Journey(name, starts_on=event("signed_up"), steps=[Send("hello", email("hello"))], **more)))


async def test_a_plan_changes_nothing_and_applying_does(manager: httpx.AsyncClient) -> None:
    publication = {"journeys": [definition()], "templates": TEMPLATES}
    plan = await manager.post("/v1/journeys/plan", json=publication)
    assert [(change["name"], change["change"]) for change in plan.json()["journeys"] + plan.json()["templates"]] == [
        ("welcome", "new"),
        ("hello", "new"),
    ]
    assert (await manager.get("/v1/journeys")).json()["items"] == []
    assert (await manager.post("/v1/journeys/apply", json=publication)).json()["versions"] == {"welcome": 1}
    assert (await manager.get("/v1/journeys/welcome")).json()["entry"] == "each user once in a lifetime"


async def test_applying_the_same_again_makes_no_new_version(manager: httpx.AsyncClient) -> None:
    publication = {"journeys": [definition()], "templates": TEMPLATES}
    for _ in range(2):
        applied = (await manager.post("/v1/journeys/apply", json=publication)).json()
    assert (applied["versions"], [change["change"] for change in applied["journeys"] + applied["templates"]]) == (
        {"welcome": 1},
        ["same", "same"],
    )


async def test_a_journey_that_is_gone_is_retired_and_comes_back_as_the_same_version(manager: httpx.AsyncClient) -> None:
    one, other = definition(), definition("other")
    await manager.post("/v1/journeys/apply", json={"journeys": [one, other], "templates": TEMPLATES})
    applied = (await manager.post("/v1/journeys/apply", json={"journeys": [other]})).json()
    assert [change["change"] for change in applied["journeys"]] == ["same", "retired"]
    assert (await manager.get("/v1/journeys/welcome")).json()["retired_at"] is not None
    applied = (await manager.post("/v1/journeys/apply", json={"journeys": [one, other]})).json()
    assert applied["versions"] == {"welcome": 1, "other": 1}
    assert (await manager.get("/v1/journeys/welcome")).json()["retired_at"] is None


async def test_apply_paused_publishes_without_entries(manager: httpx.AsyncClient) -> None:
    await manager.post("/v1/journeys/apply", json={"journeys": [definition()], "templates": TEMPLATES, "paused": True})
    assert (await manager.get("/v1/journeys/welcome")).json()["accepts_entries"] is False


async def test_a_send_without_its_template_is_refused_with_journey_and_step(manager: httpx.AsyncClient) -> None:
    answer = await manager.post("/v1/journeys/apply", json={"journeys": [definition()]})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "pointer": "/journeys",
            "code": "no_template",
            "message": "welcome/hello: there is no template hello: add journeys/templates/hello/, or mend the name",
        }
    ]
    assert (await manager.get("/v1/journeys")).json()["items"] == []


async def test_marketing_mail_that_shows_no_way_out_is_refused(manager: httpx.AsyncClient) -> None:
    silent = {"hello": {"subject.txt": "Hello", "body.txt": "Buy."}}
    answer = await manager.post("/v1/journeys/apply", json={"journeys": [definition()], "templates": silent})
    assert answer.json()["errors"][0]["code"] == "no_unsubscribe"
    told = definition(message_class="transactional")
    assert (await manager.post("/v1/journeys/apply", json={"journeys": [told], "templates": silent})).status_code == 200


async def test_one_wrong_journey_publishes_none(manager: httpx.AsyncClient) -> None:
    answer = await manager.post("/v1/journeys/apply", json={"journeys": [definition(), {"kind": "journey"}], "templates": TEMPLATES})
    assert answer.status_code == 422
    assert (await manager.get("/v1/journeys")).json()["items"] == []


@pytest.mark.parametrize("path", ["/v1/journeys/welcome", "/v1"])
async def test_a_journey_or_everything_is_paused_and_let_go(manager: httpx.AsyncClient, path: str) -> None:
    await manager.post("/v1/journeys/apply", json={"journeys": [definition()], "templates": TEMPLATES})
    assert (await manager.post(f"{path}/pause")).json()["is_paused"] is True
    assert (await manager.post(f"{path}/resume")).json()["is_paused"] is False


async def test_pausing_an_unknown_journey_is_404(manager: httpx.AsyncClient) -> None:
    assert (await manager.post("/v1/journeys/nothing/pause")).status_code == 404


async def test_long_templates_are_taken_and_a_nul_is_not(manager: httpx.AsyncClient) -> None:
    long = {"hello": {"subject.txt": "Hello", "body.txt": "x" * 100_000}}
    assert (await manager.post("/v1/journeys/apply", json={"journeys": [], "templates": long})).status_code == 200
    answer = await manager.post("/v1/journeys/apply", json={"journeys": [], "templates": {"hello": {"subject.txt": "a\0b"}}})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "nul")


CALLING = json.loads(to_json(Journey("calling", starts_on=event("signed_up"), steps=[Call("charge", function("charge_card"))])))


async def test_a_function_that_no_live_worker_announces_is_refused(manager: httpx.AsyncClient, database: Database) -> None:
    async def refused(operation: str) -> str:
        return str((await manager.post(f"/v1/journeys/{operation}", json={"journeys": [CALLING]})).json()["errors"][0]["message"])

    assert "calling/charge: charge_card: no worker is running" in await refused("apply")
    async with database.transaction() as connection:
        await outbox.announce(connection, uuid4(), ["open_ticket"])
    assert "calling/charge: charge_card: no live worker has it (they have open_ticket)" in await refused("plan")
    async with database.transaction() as connection:
        await outbox.announce(connection, uuid4(), ["charge_card"])
    assert (await manager.post("/v1/journeys/apply", json={"journeys": [CALLING]})).status_code == 200


async def test_a_worker_that_is_silent_for_a_minute_announces_nothing(manager: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as connection:
        await outbox.announce(connection, uuid4(), ["charge_card"])
        await connection.exec_driver_sql("UPDATE processes SET seen_at = now() - interval '61 seconds'")
    assert (await manager.post("/v1/journeys/apply", json={"journeys": [CALLING]})).status_code == 422
