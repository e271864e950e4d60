"""In-app messages and inbox, as the client of one person sees them, and nobody else."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from activities.direct import DirectLane
from api.clients import Client, client_token, read_client_token
from settings import Settings
from storage import in_app, keys, templates
from storage.database import Database
from tests.api.readers import add_person, expire, reading, show, token_for
from workflows.hands import hands
from workflows.housekeeping import keep_house


@pytest.fixture
async def ada(app: FastAPI, manager: httpx.AsyncClient, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Ada's client."""
    await add_person(database, "ada")
    async with reading(app, await token_for(manager, "ada")) as client:
        yield client


@pytest.fixture
async def eve(app: FastAPI, manager: httpx.AsyncClient, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Eve's client: a user of the same app, with a token of her own."""
    await add_person(database, "eve")
    async with reading(app, await token_for(manager, "eve")) as client:
        yield client


async def shown(client: httpx.AsyncClient) -> list[str]:
    answer = await client.get("/v1/in-app")
    assert answer.status_code == 200, answer.text
    return [item["body"] for item in answer.json()["items"]]


async def tell(client: httpx.AsyncClient, message_id: UUID, kind: str, event_id: str = "e-1", **more: Any) -> httpx.Response:
    return await client.post(f"/v1/in-app/{message_id}/events", json={"id": event_id, "kind": kind, **more})


async def deliver(database: Database, database_url: str) -> None:
    made = hands(Settings(database_url=database_url), database)
    try:
        await DirectLane(database, made.delivery, asyncio.Event()).pass_once()
    finally:
        await made.close()


async def test_a_template_is_filled_in_and_shown_to_a_user_who_has_no_endpoint(
    manager: httpx.AsyncClient, ada: httpx.AsyncClient, database: Database, database_url: str
) -> None:
    files = {
        "in_app.toml": "title = \"Hi {{ user.name | default('you') }}\"\nbody = \"Order {{ entry.order | default('?') }}\"\n"
        'url = "app://orders/{{ entry.order | default(\'\') }}"\nplacement = "banner"\npriority = 3\nexpires = "2d"\n'
        '[[buttons]]\ntext = "Look"\nurl = "https://shop.example/{{ entry.order | default(\'\') }}"\n'
        "[data]\ncolour = \"{{ user.colour | default('red') }}\"\n"
        '[caps]\ntotal = 3\nsession = 1\n[display]\nevent = "cart_viewed"\n[display.attributes]\nplan = ["free"]\n'
    }
    async with database.transaction() as connection:
        await templates.publish(connection, "demo", "shipped", files, "h")
    sent = await manager.post(
        "/v1/messages", json={"channel": "in_app", "user_id": "ada", "template": "shipped", "data": {"order": "A-17"}}
    )
    await deliver(database, database_url)
    [message] = (await ada.get("/v1/in-app")).json()["items"]
    assert message["id"] == sent.json()["messages"][0]
    assert [message[name] for name in ("title", "body", "url")] == ["Hi you", "Order A-17", "app://orders/A-17"]
    assert [message[name] for name in ("placement", "priority", "data")] == ["banner", 3, {"colour": "red"}]
    assert message["buttons"] == [{"text": "Look", "url": "https://shop.example/A-17"}]
    assert message["display"] == {"event": "cart_viewed", "screen": None, "attributes": {"plan": ["free"]}}
    assert message["caps"] == {"daily": None, "session": 1, "total": 3}
    [row] = (await manager.get("/v1/messages", params={"user_id": "ada"})).json()["items"]
    assert (row["state"], row["address"]) == ("sent", None)


async def test_content_of_a_direct_send_is_read_as_strictly_as_a_template(manager: httpx.AsyncClient, ada: httpx.AsyncClient) -> None:
    bad: list[dict[str, Any]] = [
        {"title": "no body"},
        {"body": "x", "url": "javascript:alert(1)"},
        {"body": "x", "url": "JaVaScRiPt:alert(1)"},
        {"body": "x", "url": "data:text/html,x"},
        {"body": "x", "image": "app://picture"},
        {"body": "x", "buttons": [{"text": "a"}] * 3},
        {"body": "x", "caps": {"total": 0}},
        {"body": "x", "expires": "for ever"},
        {"body": "x", "expires": "367d"},
        {"body": "x", "priority": 0},
        {"body": "x", "placement": "hologram"},
        {"body": "x", "colour": "red"},
    ]
    for content in bad:
        answer = await manager.post("/v1/messages", json={"channel": "in_app", "user_id": "ada", "content": content})
        assert answer.status_code == 422, content
    addressed = await manager.post("/v1/messages", json={"channel": "in_app", "address": "ada", "content": {"body": "x"}})
    assert (addressed.status_code, addressed.json()["errors"][0]["code"]) == (422, "no_address")
    assert await shown(ada) == []


async def test_in_app_has_no_addresses_to_suppress_and_is_closed_by_a_consent(
    manager: httpx.AsyncClient, ada: httpx.AsyncClient, database: Database, database_url: str
) -> None:
    refused = await manager.post("/v1/suppressions", json={"channel": "in_app", "address": "ada"})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "no_addresses")
    await manager.post("/v1/users/ada/consents", json={"channel": "in_app", "state": "withdrawn"})
    await manager.post("/v1/messages", json={"channel": "in_app", "user_id": "ada", "content": {"body": "x"}})
    await deliver(database, database_url)
    [row] = (await manager.get("/v1/messages", params={"user_id": "ada"})).json()["items"]
    assert (row["state"], row["reason"]) == ("skipped", "opted_out")
    assert await shown(ada) == []


async def test_messages_come_by_priority_then_the_newest_first(ada: httpx.AsyncClient, database: Database) -> None:
    for body, priority in (("old", 50), ("new", 50), ("late", 90), ("first", 1)):
        await show(database, "ada", {"body": body, "priority": priority})
    assert await shown(ada) == ["first", "new", "old", "late"]


async def test_a_client_that_has_everything_gets_304_until_something_changes(ada: httpx.AsyncClient, database: Database) -> None:
    await show(database, "ada")
    first = await ada.get("/v1/in-app")
    again = await ada.get("/v1/in-app", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    await show(database, "ada", {"body": "more"})
    changed = await ada.get("/v1/in-app", headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


async def test_sending_again_under_the_same_id_is_one_message(ada: httpx.AsyncClient, database: Database) -> None:
    message_id = await show(database, "ada", {"body": "one"})
    given = in_app.Given(message_id, {"body": "one, mended"}, "modal", True, 50, None, timedelta(days=1))
    async with database.transaction() as connection:
        assert await in_app.put(connection, "demo", given)
    assert await shown(ada) == ["one, mended"]


async def test_a_dismissed_message_is_not_shown_again(ada: httpx.AsyncClient, database: Database) -> None:
    message_id = await show(database, "ada")
    assert (await tell(ada, message_id, "dismiss")).json() == {"status": "new"}
    assert (await tell(ada, message_id, "dismiss")).json() == {"status": "duplicate"}
    assert await shown(ada) == []


async def test_what_is_told_twice_counts_once_and_the_last_impression_is_the_end(ada: httpx.AsyncClient, database: Database) -> None:
    message_id = await show(database, "ada", {"caps": {"total": 2}})
    for _ in range(3):
        await tell(ada, message_id, "impression", "first")
    assert (await ada.get("/v1/in-app")).json()["items"][0]["impressions"] == 1
    assert await shown(ada) == ["Hello"]
    await tell(ada, message_id, "impression", "second")
    assert await shown(ada) == []


async def test_many_clients_of_one_person_count_each_event_once(ada: httpx.AsyncClient, database: Database) -> None:
    message_id = await show(database, "ada", {"inbox": True})
    answers = await asyncio.gather(*(tell(ada, message_id, "impression", str(n)) for n in range(3) for _ in range(4)))
    assert sorted(answer.json()["status"] for answer in answers) == ["duplicate"] * 9 + ["new"] * 3
    assert (await ada.get("/v1/in-app")).json()["items"][0]["impressions"] == 3


async def test_a_client_that_tells_without_end_is_not_listened_to(
    ada: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_app, "_NOTE", text(str(in_app._NOTE).replace("< 1000", "< 3")))
    message_id = await show(database, "ada")
    answers = [(await tell(ada, message_id, "impression", str(n))).json()["status"] for n in range(5)]
    assert answers == ["new", "new", "new", "duplicate", "duplicate"]


async def test_a_message_that_has_expired_is_neither_shown_nor_in_the_inbox_and_is_deleted(
    ada: httpx.AsyncClient, database: Database
) -> None:
    message_id = await show(database, "ada", {"inbox": True})
    await show(database, "ada", {"body": "stays", "inbox": True})
    await tell(ada, message_id, "impression")
    await expire(database, message_id)
    assert await shown(ada) == ["stays"]
    assert [item["body"] for item in (await ada.get("/v1/inbox")).json()["items"]] == ["stays"]
    await keep_house(database)
    async with database.transaction() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM in_app_messages")).scalar_one() == 1
        assert (await connection.exec_driver_sql("SELECT count(*) FROM in_app_events")).scalar_one() == 0


async def test_the_inbox_counts_what_was_not_read_and_forgets_what_was_archived(ada: httpx.AsyncClient, database: Database) -> None:
    ids = [await show(database, "ada", {"body": str(n), "placement": "inbox"}) for n in range(3)]
    await show(database, "ada", {"body": "only shown"})
    inbox = (await ada.get("/v1/inbox")).json()
    assert ([item["body"] for item in inbox["items"]], inbox["unread"]) == (["2", "1", "0"], 3)
    assert await shown(ada) == ["only shown"]
    for _ in range(2):
        assert (await ada.post(f"/v1/inbox/{ids[0]}/read")).status_code == 204
        assert (await ada.post(f"/v1/inbox/{ids[1]}/archive")).status_code == 204
    inbox = (await ada.get("/v1/inbox")).json()
    assert ([(item["body"], item["read_at"] is not None) for item in inbox["items"]], inbox["unread"]) == ([("2", False), ("0", True)], 1)
    assert [(await ada.post("/v1/inbox/read-all")).json() for _ in range(2)] == [{"read": 1}, {"read": 0}]
    assert (await ada.get("/v1/inbox")).json()["unread"] == 0


async def test_the_inbox_has_pages(ada: httpx.AsyncClient, database: Database) -> None:
    for n in range(5):
        await show(database, "ada", {"body": str(n), "inbox": True})
    bodies, cursor = [], None
    while True:
        page = (await ada.get("/v1/inbox", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        bodies += [item["body"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert bodies == ["4", "3", "2", "1", "0"]


async def test_a_click_reads_the_message_in_the_inbox(ada: httpx.AsyncClient, database: Database) -> None:
    message_id = await show(database, "ada", {"inbox": True})
    await tell(ada, message_id, "click")
    assert (await ada.get("/v1/inbox")).json()["unread"] == 0


async def test_no_client_reads_or_marks_anything_of_another_user(
    ada: httpx.AsyncClient, eve: httpx.AsyncClient, database: Database, app: FastAPI, secret_key: str
) -> None:
    """The sweep: Eve tries every operation on Ada's message, and gets what she gets for one that does not exist."""
    message_id = await show(database, "ada", {"body": "for Ada", "inbox": True})
    assert await shown(eve) == []
    inbox = (await eve.get("/v1/inbox")).json()
    assert (inbox["items"], inbox["unread"]) == ([], 0)
    assert (await eve.post("/v1/inbox/read-all")).json() == {"read": 0}
    for path in ("/v1/in-app/{}/events", "/v1/inbox/{}/read", "/v1/inbox/{}/archive"):
        answers = [
            await eve.post(path.format(each), json={"id": "x", "kind": "dismiss"}, headers={"x-request-id": "the-same"})
            for each in (message_id, uuid4())
        ]
        assert [answer.status_code for answer in answers] == [404, 404], path
        assert answers[0].content == answers[1].content
    assert await shown(ada) == ["for Ada"]
    assert (await ada.get("/v1/inbox")).json()["unread"] == 1


async def test_a_user_of_the_same_name_in_another_app_is_somebody_else(ada: httpx.AsyncClient, database: Database, app: FastAPI) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
    await add_person(database, "ada", "other")
    message_id = await show(database, "ada", {"body": "demo's"})
    await show(database, "ada", {"body": "other's"}, app="other")
    token = client_token(app.state.settings, Client("other", "ada", time.time() + 60))
    async with reading(app, token) as namesake:
        assert await shown(namesake) == ["other's"]
        assert (await tell(namesake, message_id, "dismiss")).status_code == 404
    assert await shown(ada) == ["demo's"]


async def test_only_a_client_token_opens_it(client: httpx.AsyncClient, app: FastAPI, database: Database, secret_key: str) -> None:
    """No key does, not even a secret one; nor what was signed for another purpose, another secret, or has expired."""
    settings: Settings = app.state.settings
    async with database.transaction() as connection:
        written = [await keys.create(connection, "demo", kind) for kind in ("public", "write")]
    good = client_token(settings, Client("demo", "ada", time.time() + 60))
    foreign = Settings(secret="another-secret-of-at-least-32-characters")
    signature = (await client.post("/v1/users/ada/signature", headers={"authorization": f"Bearer {secret_key}"})).json()["signed_user_id"]
    tokens = [
        *written,
        secret_key,
        "",
        "sj_client_",
        signature,
        "sj_client_" + signature,
        good[:-1],
        good[:12] + ("A" if good[12] != "A" else "B") + good[13:],
        client_token(foreign, Client("demo", "ada", time.time() + 60)),
        client_token(settings, Client("demo", "ada", time.time() - 1)),
        "sj_client_" + "x" * 5000,
        "sj_client_é",
    ]
    for token in tokens:
        for path in ("/v1/in-app", "/v1/inbox", "/v1/in-app/stream"):
            answer = await client.get(path, headers={b"authorization": f"Bearer {token}".encode()})
            assert answer.status_code == 401, token
        assert (await client.get("/v1/in-app/stream", params={"token": token})).status_code == 401
    # A token in the address is for EventSource alone: addresses stand in histories.
    assert (await client.get("/v1/in-app", params={"token": good})).status_code == 401
    assert (await client.get("/v1/in-app", headers={"authorization": f"Bearer {good}"})).status_code == 200


def test_a_token_speaks_until_its_last_second_and_no_longer() -> None:
    settings = Settings()
    token = client_token(settings, Client("demo", "ada", 1000))
    assert read_client_token(settings, token, 999.9) == Client("demo", "ada", 1000)
    assert read_client_token(settings, token, 1000) is None


async def test_a_token_lasts_between_a_minute_and_a_day(manager: httpx.AsyncClient) -> None:
    for seconds, status in ((59, 422), (60, 200), (86_400, 200), (86_401, 422)):
        assert (await manager.post("/v1/users/ada/client-token", params={"expires_in_s": seconds})).status_code == status


async def test_any_page_may_ask_and_read_the_answer_and_errors_too(ada: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    for path in ("/v1/in-app", "/v1/inbox", f"/v1/in-app/{uuid4()}/events", f"/v1/inbox/{uuid4()}/read", "/v1/in-app/stream"):
        asked = await client.options(path)
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")
        assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    answers = [await ada.get("/v1/in-app"), await client.get("/v1/in-app"), await tell(ada, uuid4(), "click")]
    answers.append(await ada.get("/v1/inbox", params={"limit": 0}))
    assert [answer.status_code for answer in answers] == [200, 401, 404, 422]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "*", answer
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["cache-control"] == "private, no-cache"


async def test_one_users_clients_do_not_use_up_anothers_share(ada: httpx.AsyncClient, eve: httpx.AsyncClient, app: FastAPI) -> None:
    app.state.limits._rates = {**app.state.limits._rates, "client": 1}
    answers = [(await ada.get("/v1/inbox")).status_code for _ in range(12)]
    assert answers.count(429) >= 1
    refused = await ada.get("/v1/inbox")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await eve.get("/v1/inbox")).status_code == 200


async def test_an_event_of_the_future_or_of_no_kind_is_refused(ada: httpx.AsyncClient, database: Database) -> None:
    message_id = await show(database, "ada")
    assert (await tell(ada, message_id, "impression", occurred_at="2999-01-01T00:00:00Z")).status_code == 422
    assert (await tell(ada, message_id, "stare")).status_code == 422
    assert (await tell(ada, message_id, "impression", event_id="x" * 129)).status_code == 422
    assert (await ada.post(f"/v1/in-app/{message_id}/events", json={"kind": "click"})).status_code == 422


async def test_people_who_are_found_to_be_one_have_one_feed(
    manager: httpx.AsyncClient, ada: httpx.AsyncClient, eve: httpx.AsyncClient, database: Database
) -> None:
    await show(database, "ada", {"body": "Ada's"})
    await show(database, "eve", {"body": "Eve's"})
    await manager.post("/v1/users/ada/merge", json={"from_user_id": "eve"}, headers={"idempotency-key": "m"})
    assert await shown(ada) == await shown(eve) == ["Eve's", "Ada's"]
    later = await show(database, "eve", {"body": "later"})
    assert (await tell(ada, later, "dismiss")).status_code == 200


async def test_what_was_shown_is_in_the_copy_that_people_may_ask_for(
    manager: httpx.AsyncClient, ada: httpx.AsyncClient, database: Database
) -> None:
    message_id = await show(database, "ada", {"body": "for Ada"})
    await tell(ada, message_id, "click")
    [row] = (await manager.get("/v1/users/ada/export")).json()["in_app"]
    assert (row["content"]["body"], [event["kind"] for event in row["events"]]) == ("for Ada", ["click"])


async def test_nothing_is_left_of_an_erased_persons_feed_and_nothing_comes_after(
    manager: httpx.AsyncClient, ada: httpx.AsyncClient, database: Database
) -> None:
    message_id = await show(database, "ada", {"body": "for Ada"})
    await tell(ada, message_id, "click")
    await manager.delete("/v1/users/ada")
    assert await shown(ada) == []
    async with database.transaction() as connection:
        for table in ("in_app_feeds", "in_app_messages", "in_app_events"):
            assert (await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")).scalar_one() == 0
    given = in_app.Given(message_id, {"body": "late"}, "modal", False, 50, None, timedelta(days=1))
    async with database.transaction() as connection:
        assert not await in_app.put(connection, "demo", given)


async def test_an_impression_is_an_open_and_a_click_a_click_each_once(ada: httpx.AsyncClient, database: Database) -> None:
    message_id = await show(database, "ada", {"inbox": True})
    for kind in ("impression", "click", "dismiss"):
        for _ in range(2):
            await tell(ada, message_id, kind, kind)
    async with database.transaction() as connection:
        events = (await connection.exec_driver_sql("SELECT name, properties FROM events ORDER BY name")).all()
        [row] = (await connection.exec_driver_sql("SELECT opened_at, clicked_at FROM messages")).all()
    assert [event.name for event in events] == ["message_clicked", "message_opened"]
    assert all(event.properties == {"message_id": str(message_id), "channel": "in_app"} for event in events)
    assert None not in (row.opened_at, row.clicked_at)
