"""Push at the door: what the app's providers cannot say is told before anything is accepted, and browsers come with their keys."""

from typing import Any

import httpx
import orjson
import pytest

from journeys.language import Journey, Send, event, push
from journeys.language.codec import to_json
from storage import templates
from storage.database import Database
from tests.channels.push.browser import Browser
from tests.channels.push.keys import P256, SERVICE_ACCOUNT

LOUD = {"title": "T", "body": "B", "sound": "ping", "data": {"order_id": "A-17"}}
LOUD_FILE = 'title = "T"\nbody = "B"\nsound = "ping"\n'
BROWSER = Browser().subscription("https://push.example/abc")


@pytest.fixture
async def accounts(manager: httpx.AsyncClient) -> None:
    """One for phones and one for browsers, which know no sound; and Ann with a phone."""
    browsers = {"private_key": P256, "subject": "mailto:push@acme.example"}
    await manager.put("/v1/providers/push/browsers", json={"provider": "web_push", "settings": browsers})
    await manager.put("/v1/providers/push/phones", json={"provider": "fcm", "settings": {"service_account": SERVICE_ACCOUNT}})
    await manager.put("/v1/users/ann", json={})
    await manager.post("/v1/users/ann/endpoints", json={"channel": "push", "address": "fcm:token", "device": {"type": "android"}})


async def send(manager: httpx.AsyncClient, **body: Any) -> tuple[int, list[str]]:
    answer = await manager.post("/v1/messages", json={"channel": "push", **body})
    return answer.status_code, [f"{each['pointer']} {each['code']}" for each in answer.json().get("errors", [])]


@pytest.mark.usefixtures("accounts")
async def test_a_push_that_some_account_cannot_say_is_refused_unless_it_may_be_left_out(manager: httpx.AsyncClient) -> None:
    assert await send(manager, user_id="ann", content=LOUD) == (422, ["/content cannot_say"])
    assert await send(manager, user_id="ann", content={**LOUD, "optional": ["sound"]}) == (202, [])


@pytest.mark.usefixtures("accounts")
async def test_of_a_token_only_the_account_counts_that_reaches_it(manager: httpx.AsyncClient) -> None:
    assert await send(manager, address="fcm:token", content=LOUD) == (202, [])
    assert await send(manager, address=BROWSER, content=LOUD) == (422, ["/content cannot_say"])


@pytest.mark.usefixtures("accounts")
async def test_a_template_that_some_account_cannot_say_is_refused_at_the_plan_and_at_the_send(
    manager: httpx.AsyncClient, database: Database
) -> None:
    journey = Journey("news", starts_on=event("signed_up"), steps=[Send("hello", push("loud"))])
    body = {"journeys": [orjson.loads(to_json(journey))], "templates": {"loud": {"push.toml": LOUD_FILE}}}
    refused = await manager.post("/v1/journeys/plan", json=body)
    assert refused.status_code == 422
    assert "news/hello: template loud: web_push cannot say sound (the browser chooses it)" in refused.text
    body["templates"] = {"loud": {"push.toml": f'{LOUD_FILE}optional = ["sound"]'}}
    assert (await manager.post("/v1/journeys/plan", json=body)).status_code == 200
    async with database.transaction() as connection:
        await templates.publish(connection, "demo", "loud", {"push.toml": LOUD_FILE}, "h")
    assert await send(manager, user_id="ann", template="loud") == (422, ["/template cannot_say"])


async def test_without_accounts_everything_may_be_said_and_is_kept_as_it_was_said(manager: httpx.AsyncClient, database: Database) -> None:
    everything = {**LOUD, "image": "https://a.example/a.png", "url": "acme://x", "badge": 0, "ttl": 0, "collapse": "a", "priority": "high"}
    assert await send(manager, address="token", content=everything) == (202, [])
    async with database.transaction() as connection:
        [row] = (await connection.exec_driver_sql("SELECT content FROM direct_sends")).all()
    assert row.content["parts"] == everything


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ({"title": "T"}, "/content"),
        ({**LOUD, "silent": True}, "/content"),
        ({**LOUD, "ttl": 2_419_201}, "/content/ttl"),
        ({**LOUD, "badge": -1}, "/content/badge"),
        ({**LOUD, "badge": "many"}, "/content/badge"),
        ({**LOUD, "image": "http://a.example/a.png"}, "/content/image"),
        ({**LOUD, "collapse": "größe"}, "/content/collapse"),
        ({**LOUD, "collapse": "x" * 65}, "/content/collapse"),
        ({**LOUD, "priority": "urgent"}, "/content/priority"),
        ({**LOUD, "optional": ["title"]}, "/content/optional/0"),
        ({**LOUD, "data": {"n": 3}}, "/content/data/n"),
        ({**LOUD, "song": "la"}, "/content/song"),
    ],
)
async def test_what_no_provider_can_say_is_refused_with_its_place(
    manager: httpx.AsyncClient, content: dict[str, Any], pointer: str
) -> None:
    status, errors = await send(manager, address="token", content=content)
    assert (status, errors[0].split()[0]) == (422, pointer)


@pytest.mark.parametrize("key", ["aps", "from", "google.a", "gcm", "sojourn_message", "url", "1st", "a b", ""])
async def test_names_that_are_somebody_elses_are_refused_in_the_data(manager: httpx.AsyncClient, key: str) -> None:
    status, errors = await send(manager, address="token", content={**LOUD, "data": {key: "x"}})
    assert (status, len(errors)) == (422, 1)


@pytest.mark.usefixtures("accounts")
async def test_a_browser_is_added_by_its_subscription_and_found_by_it(manager: httpx.AsyncClient) -> None:
    added = await manager.post("/v1/users/ann/endpoints", json={"channel": "push", "address": BROWSER, "device": {"type": "web"}})
    assert added.status_code == 201
    found = (await manager.get("/v1/endpoints", params={"address": added.json()["address"]})).json()["items"]
    assert [each["id"] for each in found] == [added.json()["id"]]
    await manager.put(f"/v1/endpoints/{added.json()['id']}", json={"device": {}})
    assert (await manager.get(f"/v1/endpoints/{added.json()['id']}")).json()["address"] == added.json()["address"]


@pytest.mark.usefixtures("accounts")
async def test_a_url_without_keys_is_no_browser(manager: httpx.AsyncClient) -> None:
    refused = await manager.post("/v1/users/ann/endpoints", json={"channel": "push", "address": "https://push.example/abc"})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "invalid_subscription")
    assert refused.json()["errors"][0]["pointer"] == "/address"


@pytest.mark.usefixtures("accounts")
async def test_a_device_that_is_gone_is_used_again_when_it_is_added_again(manager: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE endpoints SET state = 'inactive', reason = 'gone'")
    again = await manager.post("/v1/users/ann/endpoints", json={"channel": "push", "address": "fcm:token", "device": {"type": "android"}})
    assert (again.json()["state"], again.json()["reason"]) == ("active", None)
