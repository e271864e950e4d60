"""The commands that speak HTTP, against a served API."""

import asyncio
import json
import os
from pathlib import Path
from uuid import UUID

import pytest
from fastapi import FastAPI

from cli.client import client
from cli.local_keys import LocalKeys, keep_keys
from storage import sandbox
from storage.database import Database
from tests.cli.conftest import Command

WELCOME = """
from journeys.language import Journey, Send, email, event
journey = Journey("welcome", starts_on=event("signed_up"), steps=[Send("hello", email("hello"))])
"""


@pytest.fixture
def room(served: FastAPI) -> Path:
    """A house in the folder where commands run."""
    room = Path("journeys")
    (room / "templates" / "hello").mkdir(parents=True)
    (room / "templates" / "hello" / "template.toml").write_text('from = "a@example.com"\n')
    (room / "templates" / "hello" / "subject.txt").write_text("Hello")
    (room / "templates" / "hello" / "body.txt").write_text("Hello. {{ links.unsubscribe }}")
    (room / "welcome.py").write_text(WELCOME)
    return room


@pytest.mark.usefixtures("room")
async def test_a_journey_is_checked_planned_and_published(sojourn: Command) -> None:
    assert await sojourn("check") == "1 journey and 1 template are in order."
    plan = await sojourn("plan")
    assert "+ welcome: a new journey\n    may enter: each user once in a lifetime" in plan
    assert "+ template hello: new" in plan
    assert "+ welcome: a new journey" in await sojourn("apply")
    assert await sojourn("plan") == "Nothing differs from what is live."


async def test_what_is_wrong_is_said_with_journey_and_step(sojourn: Command, room: Path) -> None:
    (room / "welcome.py").write_text(WELCOME.replace('email("hello")', 'email("nothing")'))
    words = await sojourn("check", code=1)
    assert "welcome/hello: there is no template nothing: add journeys/templates/nothing/" in words


@pytest.mark.usefixtures("room")
async def test_a_journey_is_drawn_and_rehearsed_without_a_server(sojourn: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOJOURN_URL", "http://127.0.0.1:9")
    assert "flowchart TD" in await sojourn("draw", "welcome")
    assert "Sent: hello.\nEnded: completed." in await sojourn("rehearse", "welcome", "--event", '2d paid {"total": 3}')
    assert "write it as" in await sojourn("rehearse", "welcome", "--event", "later", code=1)


@pytest.mark.usefixtures("served")
async def test_a_user_is_set_shown_and_explained(sojourn: Command) -> None:
    await sojourn("users", "set", "ann/1", '{"plan": "pro"}')
    assert "ann/1" in await sojourn("users", "list")
    assert json.loads(await sojourn("users", "show", "ann/1")) == {"plan": "pro"}
    assert (
        await sojourn("why", "ann/1")
        == "ann/1  times in UTC, for no zone is known\nnothing has happened to them here: look without --journey and --step"
    )
    assert "there is no user nobody in this app" in await sojourn("why", "nobody", code=1)


@pytest.mark.usefixtures("served")
async def test_a_record_of_consents_tells_how_each_came(sojourn: Command) -> None:
    await sojourn("users", "set", "ann", "{}")
    assert await sojourn("users", "consents", "ann") == "They have said nothing yet."
    said = {"channel": "sms", "topic": "news", "state": "granted", "source": "checkout form", "text": "Yes, texts.", "ip": "192.0.2.7"}

    def record() -> None:
        with client() as api:
            api.post("/v1/users/ann/consents", said)

    await asyncio.to_thread(record)
    told = await sojourn("users", "consents", "ann")
    assert "granted: news by sms, checkout form" in told
    assert "ip 192.0.2.7" in told
    assert "shown: Yes, texts." in told


@pytest.mark.usefixtures("served")
async def test_a_message_is_sent_once_for_one_key(sojourn: Command, database: Database) -> None:
    content = '{"subject": "Hi", "text": "x", "from": "us@example.com"}'
    for _ in range(2):
        assert "Accepted: message" in await sojourn("send", "email", "--address", "a@example.com", "--content", content, "--key", "k")
    async with database.transaction() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM messages")).scalar_one() == 1
    assert "/content/subject" in await sojourn("send", "email", "--address", "a@example.com", "--content", '{"text": "x"}', code=1)
    assert "--user or --address" in await sojourn("send", "email", "--content", content, code=1)


@pytest.mark.usefixtures("served")
async def test_kept_messages_are_read_in_the_terminal(sojourn: Command, database: Database) -> None:
    async with database.transaction() as connection:
        content = {"text": "Hello [red]Ann[/red]"}
        await sandbox.keep(connection, app="demo", message_id=UUID(int=1), channel="sms", recipient="+4915112345678", content=content)
    assert "Hello [red]Ann[/red]" in await sojourn("sandbox")
    assert await sojourn("sandbox", "--channel", "email") == ""


@pytest.mark.usefixtures("room")
async def test_a_journey_or_everything_is_paused(sojourn: Command) -> None:
    await sojourn("apply")
    assert "nothing of welcome leaves" in await sojourn("pause", "welcome")
    assert "messages of welcome leave again" in await sojourn("resume", "welcome")
    assert "nothing of this app leaves" in await sojourn("pause", "--all")
    assert "--all" in await sojourn("pause", code=1)


@pytest.mark.usefixtures("room")
async def test_an_enrollment_is_found_by_its_user(sojourn: Command, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await sojourn("apply")
    await sojourn("users", "set", "ann", "{}")
    assert "ann is in no journey" in await sojourn("enrollments", "show", "ann", code=1)
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO enrollments (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name, entered_at,"
            f" state) SELECT 'demo', '{UUID(int=7)}', id, 'ann', 'welcome', 1, 1, 'w', 'e', 'signed_up', now(), 'open' FROM users"
        )
    monkeypatch.setenv("COLUMNS", "40")
    listed = await sojourn("enrollments", "list", "--journey", "welcome")
    assert f"{UUID(int=7)} " in listed
    assert "ann" in listed
    assert "ann in welcome v1" in await sojourn("enrollments", "show", str(UUID(int=7)))


async def test_without_a_server_the_remedy_is_named(sojourn: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOJOURN_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SOJOURN_KEY", "sj_secret_x")
    assert "make dev" in await sojourn("users", "list", code=1)


@pytest.mark.usefixtures("served")
async def test_a_key_that_is_not_known_is_said(sojourn: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOJOURN_KEY", "sj_secret_unknown")
    assert "SOJOURN_KEY" in await sojourn("users", "list", code=1)


async def test_without_a_key_the_remedy_is_named(sojourn: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOJOURN_KEY", raising=False)
    assert "sojourn keys create secret" in await sojourn("users", "list", code=1)


@pytest.fixture
def _kept_keys(served: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make dev` leaves in its folder, instead of variables."""
    url, key = os.environ["SOJOURN_URL"], os.environ["SOJOURN_KEY"]
    Path(".sojourn").mkdir()
    keep_keys(LocalKeys(url, "demo", "write", key))
    monkeypatch.delenv("SOJOURN_URL")
    monkeypatch.delenv("SOJOURN_KEY")


@pytest.mark.usefixtures("_kept_keys")
async def test_the_sojourn_of_this_folder_is_found_without_variables(sojourn: Command) -> None:
    assert "user" in await sojourn("users", "list")
