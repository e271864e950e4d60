"""`sojourn report`, as people read it."""

import json
import re

import pytest
from fastapi import FastAPI

from storage.database import Database
from tests.cli.conftest import Command
from tests.workflows.crowd import FIRST, KEYED, SECOND, Crowd
from workflows.reports import ReportLane


@pytest.fixture
async def crowd(served: FastAPI, database: Database) -> Crowd:
    assert served
    crowd = Crowd(database, seed=11)
    await crowd.publish(SECOND, FIRST, KEYED)
    for _ in range(250):
        await crowd.something_happens()
    await ReportLane(database).catch_up()
    return crowd


@pytest.mark.usefixtures("crowd")
async def test_a_funnel_fits_80_columns_and_says_as_of_when_it_is(sojourn: Command) -> None:
    words = await sojourn("report", "win", "--by-arm")
    assert max(map(len, words.splitlines())) <= 80
    assert re.search(r"^as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$", words, re.MULTILINE)
    assert re.search(r"^  hello  email: hello +\d+ +[\d.]+ % [█▏▎▍▌▋▊▉]*$", words, re.MULTILINE)
    assert re.search(r"^  converted +\d+  [\d.]+ % \([\d.]+ to [\d.]+ %\)$", words, re.MULTILINE)
    assert "arm of offer              entered     sent  converted" in words
    assert "win: offer = rich, everybody who entered, all versions (live: 2)" in words


@pytest.mark.usefixtures("crowd")
async def test_one_arm_one_version_and_a_time_can_be_asked_for(sojourn: Command) -> None:
    whole = json.loads(await sojourn("report", "win", "--json"))
    arms = [json.loads(await sojourn("report", "win", "--json", "--arm", arm)) for arm in ("plain", "offer=rich")]
    assert sum(arm["entered"] for arm in arms) == whole["entered"] > 0
    versions = [json.loads(await sojourn("report", "win", "--json", "--version", number)) for number in ("1", "2")]
    assert sum(version["entered"] for version in versions) == whole["entered"]
    ranges = [("--until", "90d"), ("--since", "90d", "--until", "2h"), ("--since", "2h")]
    parts = [json.loads(await sojourn("report", "win", "--json", *each)) for each in ranges]
    assert sum(part["entered"] for part in parts) == whole["entered"]
    assert "there are offer=plain, offer=rich" in await sojourn("report", "win", "--arm", "blue", code=1)
    assert "tomorrow is no moment" in await sojourn("report", "win", "--since", "tomorrow", code=1)


@pytest.mark.usefixtures("crowd")
async def test_everything_can_be_counted_anew(sojourn: Command, database: Database) -> None:
    before = json.loads(await sojourn("report", "win", "--json"))
    assert re.match(r"Counting \d+ hours of entries anew", await sojourn("report", "win", "--rebuild"))
    assert "hours are being counted anew" in await sojourn("report", "win")
    await ReportLane(database).catch_up()
    assert without_time(json.loads(await sojourn("report", "win", "--json"))) == without_time(before)


async def test_a_journey_that_is_not_there_is_named(served: FastAPI, sojourn: Command) -> None:
    assert served
    assert "there is no journey nowhere in this app" in await sojourn("report", "nowhere", code=1)


def without_time(found: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in found.items() if name != "as_of"}
