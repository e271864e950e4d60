"""`sojourn plan` and `sojourn apply` against a served API: what a person reads, and that what was read is what is published."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from fastapi import FastAPI

from storage import outbox
from storage.database import Database
from storage.events import Incoming, accept
from tests.cli.conftest import Command
from tests.cli.test_backtest import _worker as _worker

WELCOME = """
from journeys.language import *
journey = Journey("welcome", starts_on=event("signed_up"), steps=[
    Send("hello", email("hello")), Wait("settle_in", days(1)), Send("more", email("hello")),
])
"""


@pytest.fixture
def room(served: FastAPI) -> Path:
    room = Path("journeys")
    (room / "templates" / "hello").mkdir(parents=True)
    (room / "templates" / "hello" / "template.toml").write_text('from = "a@example.com"\n')
    (room / "templates" / "hello" / "subject.txt").write_text("Hello")
    (room / "templates" / "hello" / "body.txt").write_text("Hello.\n{{ links.unsubscribe }}\n")
    (room / "welcome.py").write_text(WELCOME)
    return room


async def test_a_change_is_told_step_by_step(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    changed = WELCOME.replace("days(1)", "days(2)").replace('Send("more", email("hello"))', 'Send("extra", push("hello"))')
    (room / "welcome.py").write_text(changed.replace('"signed_up")', '"signed_up"), holdout=10'))
    (room / "templates" / "hello" / "push.toml").write_text('title = "Hi"\nbody = "Hello"\n')
    assert (await sojourn("plan")).splitlines()[:6] == [
        "~ welcome: changed: a new version, which people enter from now on (now live: version 1)",
        "    may enter: each user once in a lifetime",
        "    ~ the journey: holdout is 10, was 0",
        "    ~ settle_in: duration is 2 days, was 1 day",
        "    + extra: push: hello, after settle_in",
        "    - more removed: email: hello",
    ]


async def test_a_changed_template_is_told_as_a_diff(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    (room / "templates" / "hello" / "body.txt").write_text("Good day.\n{{ links.unsubscribe }}\n")
    told = await sojourn("plan")
    assert "~ template hello: changed (now live: version 1)" in told
    assert "    --- hello/body.txt (version 1)\n    +++ hello/body.txt\n" in told
    assert "    -Hello.\n    +Good day.\n" in told


async def test_a_source_and_its_rows_are_told_and_published(sojourn: Command, room: Path) -> None:
    (room / "sources").mkdir()
    (room / "sources" / "product.py").write_text(
        'from journeys.language import Rows, Source\nsource = Source("product", Rows(key="sku"))\n'
    )
    (room / "sources" / "product.csv").write_text("sku,name\nA-1,Chair\n")
    told = await sojourn("plan")
    assert "+ source product: new" in told
    assert "rows kept here by sku; messages are skipped when it fails, 1 rows" in told
    await sojourn("apply", "--yes")
    assert "Nothing differs" in await sojourn("plan")
    (room / "sources" / "product.csv").write_text("sku,name\nA-1,Chair\nA-2,Table\n")
    assert "2 rows, was 1" in await sojourn("plan")


async def test_a_journey_of_another_name_is_told_as_a_new_one(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    (room / "welcome.py").write_text(WELCOME.replace('"welcome"', '"welcoming"').replace("days(1)", "days(2)"))
    told = await sojourn("plan")
    assert "- welcome: retired: nobody enters any more" in told
    assert "it looks like welcome under another name: a new journey, which everybody may enter, whoever was in welcome too" in told


async def test_people_inside_are_told_by_version(sojourn: Command, room: Path, database: Database) -> None:
    await sojourn("apply")
    await sojourn("users", "set", "ann", "{}")
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO enrollments (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name, entered_at,"
            f" state) SELECT 'demo', '{UUID(int=7)}', id, 'ann', 'welcome', 1, 1, 'w', 'e', 'signed_up', now(), 'open' FROM users"
        )
    (room / "welcome.py").write_text(WELCOME.replace("days(1)", "days(2)"))
    assert "1 person inside (1 in version 1) finishes the version they entered" in await sojourn("plan")


async def test_a_kept_plan_is_published_as_it_was_kept(sojourn: Command, room: Path) -> None:
    assert "sojourn apply plan.json" in await sojourn("plan", "--out", "plan.json")
    (room / "welcome.py").write_text("this is no journey any more")
    assert await sojourn("apply", "plan.json") == "Published: 2 changes."
    (room / "welcome.py").write_text(WELCOME)
    assert await sojourn("plan") == "Nothing differs from what is live."


async def test_a_plan_is_not_published_once_something_has_changed(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    (room / "welcome.py").write_text(WELCOME.replace("days(1)", "days(2)"))
    await sojourn("plan", "--out", "plan.json")
    await sojourn("pause", "welcome")
    (room / "welcome.py").write_text(WELCOME.replace("days(1)", "days(3)"))
    await sojourn("apply")
    told = await sojourn("apply", "plan.json", code=1)
    assert "since this plan was made, journey welcome is at version 2; the plan was made at version 1; journey welcome was paused" in told
    assert "Nothing was published" in told


async def test_where_nobody_can_be_asked_a_retirement_needs_a_yes(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    (room / "welcome.py").unlink()
    assert "this would retire welcome, and there is nobody to ask: say --yes if that is meant" in await sojourn("apply", code=1)
    assert "- welcome: retired: nobody enters any more" in await sojourn("apply", "--yes")


@pytest.mark.usefixtures("room")
async def test_at_a_terminal_it_asks(sojourn: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda _words: False)
    assert "nothing was published" in await sojourn("apply", code=1)
    monkeypatch.setattr("typer.confirm", lambda _words: True)
    assert "Published: 2 changes." in await sojourn("apply")


@pytest.mark.usefixtures("room", "_worker")
async def test_what_it_would_have_sent_last_week_is_told(sojourn: Command, database: Database) -> None:
    entered_at = datetime.now(UTC) - timedelta(days=3)
    items = [Incoming(name="signed_up", user_id=user, event_id=user, occurred_at=entered_at, properties={}) for user in ("ann", "ben")]
    async with database.transaction() as connection:
        await accept(connection, "demo", items, received_at=datetime.now(UTC), is_history=True)
        await outbox.announce(connection, UUID(int=1))
    told = await sojourn("plan")
    assert "    last week: 2 of 2 people would have entered, and 0 messages been sent" in told
    assert "last week" not in await sojourn("plan", "--no-history")


async def test_a_plan_that_is_no_plan_is_refused(sojourn: Command, room: Path) -> None:
    assert "there is no plan nothing.json" in await sojourn("apply", "nothing.json", code=1)
    bad = room.parent / "bad.json"
    bad.write_text("hello")
    assert "it is no plan" in await sojourn("apply", "bad.json", code=1)
