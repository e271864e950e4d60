"""`sojourn journeys schedule`: when a journey starts people next, and how far each time came."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from storage.database import Database
from tests.cli.conftest import Command

NEWS = """
from journeys.language import *
journey = Journey("news", starts_on=schedule(at("09:00"), segment="gold"), again_after=ALWAYS, steps=[Wait("a_while", days(1))])
"""
GOLD = 'from journeys.language import Segment, trait\nsegment = Segment("gold", trait("plan") == "gold")\n'
STRUCK = text(
    "INSERT INTO schedule_runs (app, journey, struck_at, zones, state, reason, people, asked)"
    " VALUES ('demo', 'news', '2026-11-01T09:00Z', :zones, :state, :reason, :people, :asked)"
)


@pytest.fixture
def room(served: FastAPI) -> Path:
    room = Path("journeys")
    (room / "segments").mkdir(parents=True)
    (room / "news.py").write_text(NEWS)
    (room / "segments" / "gold.py").write_text(GOLD)
    return room


async def test_a_journey_by_the_clock_says_when_it_strikes_next_and_how_far_it_came(
    sojourn: Command, room: Path, database: Database
) -> None:
    await sojourn("apply")
    words = "news starts every day at 09:00 in the zone of each, for segment gold; next at "
    told = await sojourn("journeys", "schedule", "news")
    assert re.match(re.escape(words) + r"\d{4}-\d\d-\d\d \d\d:\d\d UTC\n", told)
    assert "Temporal has no schedule of it yet" in told
    assert told.endswith("It has not struck yet.")
    async with database.transaction() as connection:
        for zones, state, reason, people, asked in (
            (["Asia/Tokyo", "Japan"], "skipped", "overlap", 0, 0),
            ([], "running", None, 1280, 640),
        ):
            given = {"zones": zones, "state": state, "reason": reason, "people": people, "asked": asked}
            await connection.execute(STRUCK, given)
    rows = [line.split() for line in (await sojourn("journeys", "schedule", "news")).splitlines()[-2:]]
    assert rows[0] == ["2026-11-01", "09:00", "everywhere", "running", "1,280", "640"]
    assert rows[1] == ["2026-11-01", "09:00", "Asia/Tokyo", "and", "1", "more", "skipped", "(overlap)", "0", "0"]


async def test_a_retired_journey_strikes_no_more_and_another_never_did(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    by_an_event = NEWS.replace('"news"', '"other"').replace('schedule(at("09:00"), segment="gold")', 'event("x")')
    (room / "news.py").write_text(by_an_event)
    await sojourn("apply", "--yes")
    assert "; no more: it is retired, or starts by something else now" in await sojourn("journeys", "schedule", "news")
    assert "no journey other of this app ever started by the clock" in await sojourn("journeys", "schedule", "other", code=1)
