"""What a report says is what is stored: in step with every change, from scratch, and after a death in the middle."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import text

from journeys.language import days, event
from storage import conversions, report_hours, report_marks
from storage.database import Database
from tests.workflows.crowd import FIRST, KEYED, SECOND, Crowd, slow_count
from workflows.reports import ReportLane

CLOSE_ALL = "UPDATE enrollments SET state = 'closed', ended_at = clock_timestamp(), end_reason = 'late' WHERE state = 'open'"


class DeathError(Exception):
    """Stands for a SIGKILL: the transaction that is open does not commit."""


@pytest.fixture
async def lane(database: Database) -> AsyncIterator[ReportLane]:
    with patch.object(report_marks, "_NOW", text(str(report_marks._NOW).replace("1 second", "0 seconds"))):
        yield ReportLane(database)


async def counts(crowd: Crowd) -> dict[tuple[Any, ...], int]:
    rows = await crowd.run("SELECT * FROM report_counts WHERE n <> 0")
    return {(row.journey, row.hour, row.version, row.split, row.arm, row.what, row.step, row.detail): row.n for row in rows}


async def crowd_of(database: Database, seed: int) -> Crowd:
    crowd = Crowd(database, seed)
    await crowd.publish(FIRST, SECOND, FIRST, KEYED)
    return crowd


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_counts_follow_every_kind_of_change_and_equal_a_slow_independent_count(
    database: Database, lane: ReportLane, seed: int
) -> None:
    crowd = await crowd_of(database, seed)
    for _ in range(60):
        await crowd.something_happens()
    crowd.enters_now = True
    for _ in range(12):
        await lane.catch_up()
        assert await counts(crowd) == await slow_count(crowd, (FIRST, KEYED))
        for _ in range(25):
            await crowd.something_happens()


async def test_counted_from_scratch_the_numbers_are_the_same(database: Database, lane: ReportLane) -> None:
    crowd = await lived(database, lane, seed=4)
    before = await counts(crowd)
    async with database.transaction() as connection:
        assert await report_marks.mark_all(connection, "demo") > 3
    await crowd.run("UPDATE report_counts SET n = n + 1000")
    await crowd.run("INSERT INTO report_counts SELECT app, journey, hour, 7, split, arm, what, step, detail, n FROM report_counts")
    await crowd.run("DELETE FROM report_conversions")
    await lane.catch_up()
    assert await counts(crowd) == before


async def test_a_changed_goal_measures_everybody_anew(database: Database, lane: ReportLane) -> None:
    crowd = await lived(database, lane, seed=5)
    before = await counts(crowd)
    other = replace(KEYED, goal=event("paid").any_key().within(days(2)))
    await crowd.publish(other)
    await lane.catch_up()
    after = await counts(crowd)
    assert converted(after, "order") > converted(before, "order")
    assert converted(after, "win") == converted(before, "win")
    await crowd.publish(KEYED)
    await lane.catch_up()
    assert await counts(crowd) == before


async def test_a_death_in_the_middle_of_counting_loses_and_doubles_nothing(database: Database, lane: ReportLane) -> None:
    crowd = await lived(database, lane, seed=6)
    for _ in range(40):
        await crowd.something_happens()
    count, deaths = report_hours.count, iter([False, True, True, False, True])

    async def dying(*given: Any) -> bool:
        done = await count(*given)
        if next(deaths, False):
            raise DeathError("the process is gone before it could commit")
        return done

    with patch.object(report_hours, "count", dying):
        for _ in range(3):
            with pytest.raises(DeathError):
                await lane.catch_up()
    await crowd.buy_for_everybody()
    with patch.object(conversions, "mark_these", side_effect=DeathError), pytest.raises(DeathError):
        await lane.catch_up()
    await lane.catch_up()
    assert await counts(crowd) == await slow_count(crowd, (FIRST, KEYED))


async def test_a_row_that_is_committed_late_is_not_skipped(database: Database, lane: ReportLane) -> None:
    crowd = await lived(database, lane, seed=7)
    async with database.transaction() as late:
        await late.execute(
            text("UPDATE enrollments SET state = 'closed', ended_at = clock_timestamp(), end_reason = 'late' WHERE state = 'open'")
        )
        with patch.object(report_marks, "_TRIES", 2):
            await asyncio.wait_for(lane.catch_up(), 10)
        assert await counts(crowd) == await slow_count(crowd, (FIRST, KEYED))
    await lane.catch_up()
    after = await counts(crowd)
    assert after == await slow_count(crowd, (FIRST, KEYED))
    assert any(detail == "late" for *_, detail in after)


async def test_as_of_moves_on_only_when_all_is_counted(database: Database, lane: ReportLane) -> None:
    crowd = await lived(database, lane, seed=9)
    [(before,)] = await crowd.run("SELECT as_of FROM report_reading")
    await crowd.step()
    with patch.object(report_hours, "count", side_effect=DeathError), pytest.raises(DeathError):
        await lane.catch_up()
    assert await crowd.run("SELECT as_of FROM report_reading") == [(before,)]
    await lane.catch_up()
    [(after,)] = await crowd.run("SELECT as_of FROM report_reading")
    assert after > before


async def lived(database: Database, lane: ReportLane, seed: int) -> Crowd:
    """A crowd with a past that is counted."""
    crowd = await crowd_of(database, seed)
    for _ in range(120):
        await crowd.something_happens()
    await lane.catch_up()
    assert converted(await counts(crowd), "win") > 0
    return crowd


def converted(counts: dict[tuple[Any, ...], int], journey: str) -> int:
    return sum(n for (name, _, _, split, _, what, *_), n in counts.items() if name == journey and not split and "converted" in what)
