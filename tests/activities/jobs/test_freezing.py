"""The job that fills a list with those who are in a segment: piece by piece, and whole only at its end."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from activities.jobs import freezing
from activities.jobs.work import Work
from journeys.language import did, in_segment, trait
from journeys.language.codec import condition_to_json
from journeys.language.conditions import AnyCondition
from journeys.language.errors import NotFound
from storage import jobs, segment_people, segments
from storage.database import Database
from storage.jobs import Job, Progress
from storage.segment_people import Asked

NOW = datetime.now(UTC)
GOLDEN = (trait("plan") == "gold") | did("ordered", at_least=2)


@pytest.fixture
async def work(database: Database, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setattr(freezing, "PIECE", 4)
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO users (app, user_id, attributes) SELECT 'demo', 'user-' || i, jsonb_build_object('plan',"
            " CASE WHEN i % 3 = 0 THEN 'gold' ELSE 'free' END) FROM generate_series(1, 10) i"
        )
        await connection.exec_driver_sql(
            "INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at) SELECT 'demo', now(), u.id, 'e' || i, 'ordered',"
            " now() - interval '1 day' FROM users u, generate_series(1, 2) i WHERE u.app = 'demo' AND u.user_id = 'user-1'"
        )
    return Work(database, cast("Any", None), "none")


async def ordered(database: Database, meant: dict[str, AnyCondition]) -> Job:
    written = {name: condition_to_json(each).decode() for name, each in meant.items()}
    parameters = {"segment": "golden", "version": 1, "list": "then", "at": NOW.isoformat(), "segments": written}
    async with database.transaction() as connection:
        await segments.make_static(connection, "demo", "then")
        return await jobs.create(connection, "demo", "freeze", parameters)


async def piece(work: Work, job: Job) -> Progress:
    async with work.database.transaction() as connection:
        now = await jobs.get(connection, "demo", job.id)
    return await freezing.freezes(work, now)


async def listed(database: Database) -> list[str | None]:
    async with database.transaction() as connection:
        asked = Asked("demo", in_segment("then"), {"then": segments.LISTED}, NOW + timedelta(days=1))
        return [each.user_id for each in await segment_people.page(connection, asked, after=None, most=100)]


async def test_a_list_is_filled_piece_by_piece_and_says_when_it_is_whole(work: Work, database: Database) -> None:
    job = await ordered(database, {"golden": GOLDEN})
    first = await piece(work, job)
    assert (first.done, first.total, first.result, first.is_finished) == (4, 10, {"segment": "then", "people": 2}, False)
    assert await listed(database) == ["user-1", "user-3"]
    async with database.transaction() as connection:
        found = await segments.get(connection, "demo", "then")
    assert found is not None
    assert found.frozen_at is None
    last = [await piece(work, job) for _ in range(2)][-1]
    assert (last.done, last.result, last.is_finished) == (10, {"segment": "then", "people": 4}, True)
    assert await listed(database) == ["user-1", "user-3", "user-6", "user-9"]
    async with database.transaction() as connection:
        found = await segments.get(connection, "demo", "then")
        stored = await jobs.get(connection, "demo", job.id)
    assert found is not None
    assert (found.frozen_from, found.frozen_version, found.frozen_at) == ("golden", 1, NOW)
    assert stored.state == "done"


async def test_what_the_segment_meant_when_it_was_asked_for_counts(work: Work, database: Database) -> None:
    job = await ordered(database, {"golden": in_segment("inner"), "inner": GOLDEN})
    for _ in range(3):
        await piece(work, job)
    assert await listed(database) == ["user-1", "user-3", "user-6", "user-9"]


async def test_a_list_that_was_deleted_meanwhile_is_not_filled(work: Work, database: Database) -> None:
    job = await ordered(database, {"golden": GOLDEN})
    async with database.transaction() as connection:
        await segments.remove(connection, "demo", "then")
    with pytest.raises(NotFound, match="then, which was to be filled, is deleted"):
        await piece(work, job)
