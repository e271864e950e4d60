"""`sojourn rehearse JOURNEY --over-history`, against a served API; a test stands in for the worker."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from fastapi import FastAPI

from activities.jobs.catalogue import KINDS
from activities.jobs.cores import Cores
from activities.jobs.order import JobOrder
from activities.jobs.runner import Jobs
from activities.jobs.work import Work
from storage import jobs
from storage.database import Database
from storage.events import Address, Incoming, accept
from tests.cli.conftest import Command

ENTERED = datetime(2026, 3, 2, 12, tzinfo=UTC)
WELCOME = """
from journeys.language import *
journey = Journey("welcome", starts_on=event("signed_up"), goal=event("order_placed").within(days(14)), steps=[
    Send("hello", email("hello")),
    Wait("a_day", days(1)),
    Split("offer", arms=[Arm("plain", 50, [Send("plain", email("hello"))]), Arm("gift", 50, [Send("text", sms("hello"))])]),
])
"""
LAPSED = """
from journeys.language import *
journey = Journey("lapsed", starts_on=segment("gone"), steps=[Send("missed", email("hello"))])
"""


@pytest.fixture
async def _worker(served: FastAPI, database: Database) -> AsyncIterator[None]:
    """Does the pieces of whatever job runs, as a worker would."""
    cores = Cores(1)
    made = Jobs(Work(database, cast("Any", None), "", cores), KINDS)

    async def work() -> None:
        while True:
            async with database.transaction() as connection:
                running = await jobs.untouched(connection, timedelta(0))
            for app, job_id in running:
                await made._do_piece(JobOrder(app, str(job_id)))
            await asyncio.sleep(0.05)

    working = asyncio.create_task(work())
    yield
    working.cancel()
    cores.close(wait=True)


@pytest.fixture
async def _people(database: Database) -> None:
    """Ann has a mail address and buys; Ben cannot be reached."""
    items = [
        item("signed_up", "ann", 0, addresses=(Address("email", "ann@example.com"),)),
        item("order_placed", "ann", 5),
        item("signed_up", "ben", 1),
        item("signed_up", "ann", 20),
    ]
    async with database.transaction() as connection:
        await accept(connection, "demo", items, received_at=datetime.now(UTC), is_history=True)


def item(name: str, user: str, after_days: float, **more: Any) -> Incoming:
    occurred_at = ENTERED + timedelta(days=after_days)
    return Incoming(name=name, user_id=user, event_id=f"{name} {user} {after_days}", occurred_at=occurred_at, properties={}, **more)


@pytest.fixture
def _house(served: FastAPI) -> None:
    room = Path("journeys")
    (room / "templates" / "hello").mkdir(parents=True)
    for name, text in {"template.toml": 'from = "a@example.com"\n', "subject.txt": "Hello", "sms.txt": "Hello"}.items():
        (room / "templates" / "hello" / name).write_text(text)
    (room / "templates" / "hello" / "body.txt").write_text("Hello. {{ links.unsubscribe }}")
    (room / "welcome.py").write_text(WELCOME)
    (room / "lapsed.py").write_text(LAPSED)


pytestmark = pytest.mark.usefixtures("_worker", "_people", "_house")


async def test_what_would_have_been_sent_is_shown_by_day_step_and_arm(sojourn: Command) -> None:
    words = await sojourn("rehearse", "welcome", "--over-history")
    assert "welcome over 2 people from the first event until " in words
    assert "Nothing was sent." in words
    assert "entered   2 times, by 2 people" in words
    assert "2026-03-02  ████████████████████████████████████████ 1" in words
    assert "hello" in words
    assert "1 no_endpoint" in words
    assert "refused   1 not_again (entries that started nothing)" in words
    assert "would get messages: 1 of 2 (50.0%)" in words
    assert "Taken for granted: addresses are those of today; consents are those of then." in words


async def test_the_counts_come_as_json_for_a_time_and_for_everybody_reachable(sojourn: Command) -> None:
    told = json.loads(await sojourn("rehearse", "welcome", "--over-history", "--json", "--reachable", "--since", "2026-03-03"))
    counts = told["counts"]
    # Ann came before that day; her second sign-up is the first that is looked at.
    assert counts["entered_on"] == {"2026-03-03": 1, "2026-03-22": 1}
    assert counts["sent"] == 4
    assert "skipped" not in counts
    assert told["busiest_minute"] == {"at": "2026-03-03T12:00:00Z", "sent": 1, "is_exact": True}
    assert told["assumed"] == ["everybody can be reached on every channel and has agreed to everything"]


async def test_a_journey_that_no_event_starts_takes_a_condition(sojourn: Command) -> None:
    refused = await sojourn("rehearse", "lapsed", "--over-history", code=1)
    assert "/entering: no event starts this journey: give the condition with which people would have entered" in refused
    entering = 'did("signed_up") & did_not("signed_up", last=days(7))'
    told = json.loads(await sojourn("rehearse", "lapsed", "--over-history", "--json", "--entering", entering))
    assert told["counts"]["entered_on"] == {"2026-03-09": 1, "2026-03-10": 1}
    assert told["counts"]["refused"] == {"not_again": 1}
    assert "starts on events" in await sojourn("rehearse", "welcome", "--over-history", "--entering", entering, code=1)
    in_sql = await sojourn("rehearse", "lapsed", "--over-history", "--entering", 'sql("SELECT 1")', code=1)
    assert "/entering: sql(...) can be asked in a segment only" in in_sql
    assert "write a condition as in a journey" in await sojourn("rehearse", "lapsed", "--over-history", "--entering", "did(", code=1)


async def test_a_backtest_is_a_job_that_is_listed(sojourn: Command) -> None:
    await sojourn("rehearse", "welcome", "--over-history", "--json")
    listed = await sojourn("jobs", "list", "--kind", "backtest")
    assert "backtest  done   2 of 2" in listed
    assert UUID(listed.splitlines()[1].split()[0])
