"""Double opt-in: a yes that must be confirmed counts once it was, once, in time, and never against a later no."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from activities.subscribing import look
from channels.links import Confirm, confirm_url, read_confirm
from settings import DEVELOPMENT_SECRET
from storage import consents
from storage.consents import ConsentRecord
from storage.database import Database
from tests.browser.visitor import CONFIRM

ASKED = {"user_id": "ann", "channel": "email", "topic": "news"}


@pytest.fixture
async def ann(manager: httpx.AsyncClient) -> httpx.AsyncClient:
    """An app with a topic that must be confirmed by email, and somebody with an address."""
    topic = {"name": "news", "title": "News", "channels": ["email", "sms"], "double_opt_in": ["email"]}
    assert (await manager.put("/v1/topics", json={"topics": [topic]})).status_code == 200
    assert (await manager.post("/v1/templates/confirm-subscription/versions", json={"files": CONFIRM})).is_success
    await manager.put("/v1/users/ann", json={})
    await manager.post("/v1/users/ann/endpoints", json={"channel": "email", "address": "ann@example.com"})
    return manager


async def ask(manager: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await manager.post("/v1/subscriptions", json={**ASKED, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def link_of(database: Database, message_id: str) -> str:
    async with database.transaction() as connection:
        rows = await connection.execute(text("SELECT content FROM direct_sends WHERE message_id = CAST(:id AS uuid)"), {"id": message_id})
        return str(rows.scalar_one()["data"]["confirm_url"]).replace("http://127.0.0.1:8080", "http://sojourn")


async def states(manager: httpx.AsyncClient) -> list[str]:
    return [entry["state"] for entry in (await manager.get("/v1/users/ann/consents")).json()["history"]]


async def test_a_yes_is_pending_until_it_is_confirmed_by_post(
    ann: httpx.AsyncClient, client: httpx.AsyncClient, database: Database
) -> None:
    made = await ask(ann, text="Yes, send me news.", page="https://shop.example/", ip="192.0.2.7")
    assert (made["state"], len(made["messages"])) == ("pending", 1)
    link = await link_of(database, made["messages"][0])
    for _ in range(20):
        assert (await client.get(link)).status_code == 200
    assert await states(ann) == ["pending"]
    assert "Thank you" in (await client.post(link)).text
    assert "Thank you" in (await client.post(link)).text
    assert "Thank you" in (await client.get(link)).text
    assert await states(ann) == ["pending", "granted"]
    granted = (await ann.get("/v1/users/ann/consents")).json()["in_force"][0]
    assert (granted["source"], granted["recorded_by"], granted["text"]) == ("double_opt_in", "user", "Yes, send me news.")


async def test_a_channel_that_needs_no_confirmation_counts_at_once(ann: httpx.AsyncClient) -> None:
    assert await ask(ann, channel="sms") == {"state": "granted", "messages": []}


async def test_who_has_confirmed_is_not_asked_again(ann: httpx.AsyncClient, client: httpx.AsyncClient, database: Database) -> None:
    await client.post(await link_of(database, (await ask(ann))["messages"][0]))
    assert await ask(ann) == {"state": "granted", "messages": []}
    assert await states(ann) == ["pending", "granted"]


async def test_a_confirmation_is_sent_three_times_a_day_at_most(ann: httpx.AsyncClient) -> None:
    assert [len((await ask(ann))["messages"]) for _ in range(6)] == [1, 1, 1, 0, 0, 0]
    assert await states(ann) == ["pending"] * 3


@pytest.mark.parametrize(("channel", "topic"), [("email", "news"), ("*", "news"), ("email", "*"), ("*", "*"), ("*", "*marketing")])
async def test_a_confirmation_after_a_no_brings_nobody_back(
    ann: httpx.AsyncClient, client: httpx.AsyncClient, database: Database, channel: str, topic: str
) -> None:
    link = await link_of(database, (await ask(ann))["messages"][0])
    await ann.post("/v1/users/ann/consents", json={"channel": channel, "topic": topic, "state": "withdrawn"})
    assert "unsubscribed since" in (await client.post(link)).text
    assert await states(ann) == ["pending", "withdrawn"]


async def test_an_earlier_link_confirms_too(ann: httpx.AsyncClient, client: httpx.AsyncClient, database: Database) -> None:
    first = await link_of(database, (await ask(ann))["messages"][0])
    await ask(ann)
    await client.post(first)
    assert await states(ann) == ["pending", "pending", "granted"]


async def test_a_link_is_too_old_after_seven_days(ann: httpx.AsyncClient, client: httpx.AsyncClient, database: Database) -> None:
    asked = read_confirm(DEVELOPMENT_SECRET, (await link_of(database, (await ask(ann))["messages"][0])).rsplit("/", 1)[1])
    assert asked is not None
    assert timedelta(days=6, hours=23) < asked.expires_at - datetime.now(UTC) <= timedelta(days=7)
    async with database.transaction("demo") as connection:
        late = await look(connection, asked.user_id, asked, asked.expires_at + timedelta(seconds=1))
    assert late.stands == "expired"
    over = Confirm("demo", asked.user_id, asked.consent_id, datetime.now(UTC) - timedelta(minutes=1))
    assert "too old" in (await client.post(confirm_url("http://sojourn", DEVELOPMENT_SECRET, over))).text
    assert await states(ann) == ["pending"]


async def test_a_link_confirms_only_what_its_own_person_asked_for(
    ann: httpx.AsyncClient, client: httpx.AsyncClient, database: Database
) -> None:
    await ann.put("/v1/users/bea", json={})
    async with database.transaction() as connection:
        bea = (await connection.execute(text("SELECT id FROM users WHERE user_id = 'bea'"))).scalar_one()
        of_bea = await consents.write(connection, "demo", bea, ConsentRecord("email", "news", "pending", "form"))
        person = (await connection.execute(text("SELECT id FROM users WHERE user_id = 'ann'"))).scalar_one()
    assert of_bea.id is not None
    soon = datetime.now(UTC) + timedelta(days=1)
    for forged in (Confirm("demo", person, of_bea.id, soon), Confirm("demo", person, 10**9, soon), Confirm("demo", 10**9, of_bea.id, soon)):
        assert (await client.post(confirm_url("http://sojourn", DEVELOPMENT_SECRET, forged))).status_code == 404
    assert (await client.post(confirm_url("http://sojourn", "b" * 32, Confirm("demo", bea, of_bea.id, soon)))).status_code == 404


async def test_without_a_template_to_ask_with_nothing_is_recorded(manager: httpx.AsyncClient) -> None:
    topic = {"name": "news", "title": "News", "double_opt_in": ["email"]}
    await manager.put("/v1/topics", json={"topics": [topic]})
    await manager.put("/v1/users/ann", json={})
    refused = await manager.post("/v1/subscriptions", json=ASKED)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "no_confirm_template")
    assert await states(manager) == []


@pytest.mark.parametrize("topic", ["*", "*marketing"])
async def test_nobody_subscribes_to_everything(ann: httpx.AsyncClient, topic: str) -> None:
    assert (await ann.post("/v1/subscriptions", json={**ASKED, "topic": topic})).status_code == 422


async def test_the_default_topic_is_there_without_being_made(manager: httpx.AsyncClient) -> None:
    assert [topic["name"] for topic in (await manager.get("/v1/topics")).json()["items"]] == ["general"]
    await manager.put("/v1/topics", json={"topics": [{"name": "news", "title": "News"}]})
    assert [topic["name"] for topic in (await manager.get("/v1/topics")).json()["items"]] == ["news", "general"]


@pytest.mark.parametrize(
    ("topics", "pointer"),
    [
        ([{"name": "*", "title": "All"}], "/topics/0/name"),
        ([{"name": "news", "title": "News", "channels": []}], "/topics/0/channels"),
        ([{"name": "news", "title": "News", "double_opt_in": ["sms"]}], "/topics/0"),
        ([{"name": "news", "title": "News"}, {"name": "news", "title": "Again"}], ""),
    ],
)
async def test_a_topic_that_cannot_be_is_refused(manager: httpx.AsyncClient, topics: list[dict[str, Any]], pointer: str) -> None:
    refused = await manager.put("/v1/topics", json={"topics": topics})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_a_wording_is_kept_once_however_many_agreed_to_it(ann: httpx.AsyncClient, database: Database) -> None:
    said = {"channel": "sms", "topic": "news", "state": "granted", "text": "Yes, send me texts.", "page": "https://shop.example/"}
    for _ in range(5):
        assert (await ann.post("/v1/users/ann/consents", json=said)).status_code == 201
    async with database.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM consent_texts"))).scalar_one() == 1
    history = (await ann.get("/v1/users/ann/consents")).json()["history"]
    assert {(entry["text"], entry["page"], entry["ip"]) for entry in history} == {("Yes, send me texts.", "https://shop.example/", None)}
