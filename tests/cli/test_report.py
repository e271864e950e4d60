"""`sojourn report`, as people read it."""

import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from rich.text import Text

from cli.report import lines
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


def a_report(*, against: tuple[float, float, float], is_mismatched: bool = False, enter_again: bool = False) -> dict[str, Any]:
    rate, low, high = against
    share = {"n": 4_800, "of": 50_000, "rate": 0.096, "low": 0.0912, "high": 0.101}
    difference = {"rate": rate, "low": low, "high": high, "p": 0.5}
    arm = {"weight": 50, "entered": 50_000, "sent": 49_000, "converted": share, "against_holdout": difference}
    arms = [{**arm, "arm": "reminder", "against_first": None}, {**arm, "arm": "discount", "against_first": difference}]
    return {
        "journey": "j", "split": None, "arm": None, "since": None, "until": None, "version": None, "live_version": 1, "hours_due": 0,
        "as_of": "2026-11-26T09:00:00Z", "entered": 100_000, "inside": 0, "ended": [], "refused": [], "goal": "bought within 7 days",
        "converted": share, "enter_again": enter_again, "steps": [], "now": [], "gone_steps": [],
        "holdout": {"held_out": 50_000, "converted": share, "difference": difference, "is_mismatched": is_mismatched},
        "splits": [{"split": "offer", "arms": arms, "is_mismatched": is_mismatched}],
    }  # fmt: skip


def printed(found: dict[str, Any]) -> list[str]:
    return [Text.from_markup(line).plain for line in lines(found)]


@pytest.mark.parametrize(
    ("against", "word"),
    [((0.1204, 0.1103, 0.1311), "  better"), ((-0.1204, -0.1311, -0.1103), "  worse"), ((0.0104, -0.0003, 0.0211), "")],
)
def test_an_arm_is_called_better_or_worse_only_when_its_interval_lies_on_one_side(against: tuple[float, float, float], word: str) -> None:
    told = printed(a_report(against=against))
    assert max(map(len, told)) <= 79
    assert next(line for line in told if line.startswith("    against reminder")).endswith(f"){word}")
    assert not any("trust no result" in line or "enter again" in line for line in told)


def test_what_makes_results_doubtful_is_said() -> None:
    told = printed(a_report(against=(0.01, -0.01, 0.03), is_mismatched=True, enter_again=True))
    assert max(map(len, told)) <= 79
    assert "  an arm holds more or fewer people than its weight says: trust no result" in told
    assert "  more or fewer people are held out than `holdout` says: trust no result" in told
    assert "People may enter again and count each time: the brackets are too narrow." in told
