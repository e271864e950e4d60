"""The job that writes who is in a segment into a file: by one definition from end to end, each row once, whatever happens meanwhile."""

from typing import Any
from uuid import UUID

import pytest

from activities.jobs import exporting
from activities.jobs.work import Work
from journeys.language import trait
from journeys.language.codec import condition_to_json
from journeys.language.conditions import AnyCondition, InSegment
from journeys.language.errors import NotFound
from journeys.language.segments import mentions
from storage import conditions, files, segments
from storage.database import Database
from storage.jobs import Job
from tests.activities.imports.runs import begun, one_piece, to_the_end, work_on

GOLDEN: AnyCondition = trait("plan") == "gold"
FREE: AnyCondition = trait("plan") == "free"
OF_GOLDEN = ["user-3", "user-6", "user-9"]


async def publish(database: Database, name: str, condition: AnyCondition) -> None:
    written = condition_to_json(condition).decode()
    async with database.transaction() as connection:
        await segments.publish(connection, "demo", name, written, written, mentions(condition))


@pytest.fixture
async def work(database: Database, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Ten people, three of them golden; four are looked at in a piece."""
    monkeypatch.setattr(exporting, "PEOPLE_A_PIECE", 4)
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO users (app, user_id, attributes) SELECT 'demo', 'user-' || i, jsonb_build_object('plan',"
            " CASE WHEN i % 3 = 0 THEN 'gold' ELSE 'free' END) FROM generate_series(1, 10) i"
        )
    await publish(database, "golden", GOLDEN)
    return work_on(database)


async def ordered(database: Database, segment: str = "golden") -> Job:
    return await begun(database, "export", {"form": "csv", "segment": segment, "attributes": ["plan"]})


async def written(work: Work, job: Job) -> list[str]:
    """The user ids in the order of the file."""
    pieces = [piece async for piece in files.chunks(work.database, "demo", UUID(job.result["file"]))]
    return [line.partition(",")[0] for line in b"".join(pieces).decode().splitlines()[1:]]


async def test_everybody_is_looked_at_once_and_who_is_in_is_written(work: Work, database: Database) -> None:
    looked_at: list[tuple[int, int | None]] = []
    job = await to_the_end(work, await ordered(database), lambda each: looked_at.append((each.done, each.total)))
    assert looked_at == [(0, 10), (4, 10), (8, 10), (10, 10), (10, 10)]
    assert job.result["people"] == len(OF_GOLDEN)
    assert await written(work, job) == OF_GOLDEN


@pytest.mark.parametrize("changed", ["golden", "inner"])
async def test_an_edit_while_people_are_written_changes_nothing(work: Work, database: Database, changed: str) -> None:
    await publish(database, "inner", GOLDEN)
    await publish(database, "golden", InSegment("inner"))
    job = await one_piece(work, await one_piece(work, await ordered(database)))
    await publish(database, changed, FREE)
    assert await written(work, await to_the_end(work, job)) == OF_GOLDEN


async def test_a_segment_that_is_deleted_meanwhile_is_written_to_its_end(work: Work, database: Database) -> None:
    job = await one_piece(work, await one_piece(work, await ordered(database)))
    async with database.transaction() as connection:
        await segments.remove(connection, "demo", "golden")
    assert await written(work, await to_the_end(work, job)) == OF_GOLDEN


async def test_a_list_that_is_deleted_meanwhile_leaves_no_half_of_a_file(work: Work, database: Database) -> None:
    async with database.transaction() as connection:
        await segments.make_static(connection, "demo", "friends")
        await segments.put_on_list(connection, "demo", "friends", ["user-1", "user-9"])
    job = await one_piece(work, await one_piece(work, await ordered(database, "friends")))
    async with database.transaction() as connection:
        await segments.remove(connection, "demo", "friends")
    with pytest.raises(NotFound, match="the list friends was deleted meanwhile"):
        await one_piece(work, job)


async def test_a_worker_that_dies_within_a_piece_neither_loses_nor_doubles_a_row(
    work: Work, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = files.append

    async def dies_after(*given: Any) -> None:
        await append(*given)
        raise RuntimeError("the worker is gone")

    job = await one_piece(work, await ordered(database))
    for _ in range(3):
        monkeypatch.setattr(files, "append", dies_after)
        with pytest.raises(RuntimeError, match="gone"):
            await to_the_end(work, job)
        monkeypatch.setattr(files, "append", append)
        job = await one_piece(work, job)
    assert await written(work, await to_the_end(work, job)) == OF_GOLDEN


async def test_no_piece_asks_everybody(work: Work, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted as a set the segment would be read as a whole for each piece."""
    of_everybody: list[bool] = []

    def heard(*given: Any, **named: Any) -> Any:
        of_everybody.append(named.get("of_everybody", True))
        return conditions.of_segment(*given, **named)

    monkeypatch.setattr("storage.segment_people.of_segment", heard)
    await to_the_end(work, await ordered(database))
    assert of_everybody == [False] * 3


async def test_an_export_that_an_older_worker_began_goes_on(work: Work, database: Database) -> None:
    job = await one_piece(work, await ordered(database))
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE jobs SET cursor = cursor - 'segments'")
    assert await written(work, await to_the_end(work, job)) == OF_GOLDEN
