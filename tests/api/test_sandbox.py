from typing import Any
from uuid import UUID

import httpx
import pytest

from api.app import create_app
from settings import Settings
from storage import keys, sandbox
from storage.database import Database

MAIL = UUID(int=1)


async def keep(database: Database, number: int, channel: str, content: dict[str, Any], recipient: str = "ann@example.com") -> None:
    async with database.transaction() as connection:
        await sandbox.keep(connection, app="demo", message_id=UUID(int=number), channel=channel, recipient=recipient, content=content)


async def test_kept_messages_are_listed_the_newest_first(manager: httpx.AsyncClient, database: Database) -> None:
    for number in (1, 2, 3):
        await keep(database, number, "sms", {"text": f"message {number}"})
    page = (await manager.get("/v1/sandbox/messages", params={"limit": 2})).json()
    rest = (await manager.get("/v1/sandbox/messages", params={"limit": 2, "cursor": page["next"]})).json()
    assert [kept["content"]["text"] for kept in page["items"] + rest["items"]] == ["message 3", "message 2", "message 1"]


async def test_they_are_filtered_by_channel_and_user(manager: httpx.AsyncClient, database: Database) -> None:
    await manager.put("/v1/users/ann", json={})
    await manager.post("/v1/users/ann/endpoints", json={"channel": "sms", "address": "+4915112345678"})
    sent = (await manager.post("/v1/messages", json={"channel": "sms", "user_id": "ann", "content": {"text": "x"}})).json()["messages"][0]
    await keep(database, UUID(sent).int, "sms", {"text": "to ann"})
    await keep(database, 1, "sms", {"text": "to another"})
    await keep(database, 2, "email", {"subject": "s", "text": "t"})
    listed = (await manager.get("/v1/sandbox/messages", params={"user_id": "ann"})).json()["items"]
    assert [kept["content"]["text"] for kept in listed] == ["to ann"]
    assert len((await manager.get("/v1/sandbox/messages", params={"channel": "email"})).json()["items"]) == 1
    page = (await manager.get("/sandbox", params={"user": "ann"})).text
    assert "to ann" in page
    assert "to another" not in page


@pytest.mark.parametrize(
    ("channel", "content", "seen"),
    [
        ("sms", {"text": "<b>hi</b>"}, "&lt;b&gt;hi&lt;/b&gt;"),  # nothing that a message holds is markup here
        ("push", {"title": "T & T", "body": "Look"}, "T &amp; T"),
        ("push", {"title": "T", "body": "B", "data": {"a": "<b>"}, "badge": 0}, 'data: {"a": "\\u003cb\\u003e"}'),
        ("push", {"title": "T", "body": "B", "badge": 0}, "badge: 0"),
        ("push", {"silent": True, "data": {"sync": "orders"}}, "silent: it wakes the app"),
        ("in_app", {"body": "<script>"}, "&lt;script&gt;"),
        ("voice", {"text": "Hello"}, "Hello"),
        ("voice", {"ssml": "<speak>Hi</speak>", "voice": "Amy"}, "&lt;speak&gt;Hi"),
        ("whatsapp", {"text": "Hello"}, "Hello"),
        ("whatsapp", {"template": {"name": "order_shipped", "language": "en", "body": {"1": "<Ann>"}}}, "1: &lt;Ann&gt;"),
        ("whatsapp", {"template": {"name": "a", "language": "en", "buttons": {"0": {"url": "A-17"}}}}, "[A-17]"),
        ("webhook", {"url": "https://example.com", "body": '{"a":1}'}, "&#34;a&#34;: 1"),  # indented
        ("webhook", {"url": "https://example.com", "body": "no JSON"}, "no JSON"),
        ("email", {"subject": "<i>", "from": "us@example.com", "text": "plain"}, "&lt;i&gt;"),
        ("email", {"subject": "s", "html": "<p>x</p>"}, f'src="/sandbox/{MAIL}/mail"'),
        ("email", {}, "(no subject)"),
    ],
)
async def test_each_message_is_shown_as_its_receiver_would_see_it(
    client: httpx.AsyncClient, database: Database, channel: str, content: dict[str, Any], seen: str
) -> None:
    await keep(database, 1, channel, content)
    answer = await client.get("/sandbox")
    assert (answer.status_code, seen in answer.text) == (200, True)


async def test_a_double_is_shown(client: httpx.AsyncClient, database: Database) -> None:
    for _ in range(2):
        await keep(database, 1, "sms", {"text": "x"})
    assert "sent 2 times" in (await client.get("/sandbox")).text


async def test_the_page_runs_no_script_and_the_mail_is_locked_in(client: httpx.AsyncClient, database: Database) -> None:
    await keep(database, 1, "email", {"subject": "s", "html": "<html><head></head><body><script>alert(1)</script></body></html>"})
    page = await client.get("/sandbox")
    assert "script-src" not in page.headers["content-security-policy"]
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert '<iframe sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    mail = await client.get(f"/sandbox/{MAIL}/mail")
    assert mail.headers["content-security-policy"].startswith("sandbox allow-popups")
    assert "allow-scripts" not in mail.headers["content-security-policy"]
    assert '<head><base target="_blank"></head>' in mail.text


async def test_a_mail_that_is_not_there_is_404(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/sandbox/{MAIL}/mail")).status_code == 404


async def test_nothing_kept_and_nobody_known_are_said(client: httpx.AsyncClient) -> None:
    assert "Nothing has left yet" in (await client.get("/sandbox")).text
    assert "no user with this id" in (await client.get("/sandbox", params={"user": "nobody"})).text


async def test_outside_development_the_page_asks_for_a_secret_key(database: Database, database_url: str) -> None:
    settings = Settings(database_url=database_url, environment="staging", secret="s" * 32)
    transport = httpx.ASGITransport(create_app(settings, database))
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
        secret, write = [await keys.create(connection, "other", kind) for kind in ("secret", "write")]
    await keep(database, 1, "sms", {"text": "of demo"})
    async with httpx.AsyncClient(transport=transport, base_url="http://sojourn") as client:
        refused = await client.get("/sandbox")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic")
        assert (await client.get("/sandbox", auth=(write, ""))).status_code == 401
        shown = await client.get("/sandbox", auth=(secret, ""))
        assert (shown.status_code, "of demo" in shown.text) == (200, False)
