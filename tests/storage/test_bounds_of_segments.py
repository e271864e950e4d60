"""What is asked of everybody is bounded in time and memory, by the settings of the very session that asks."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from journeys.language import sql
from storage import segment_people, segments
from storage.database import Connection, Database
from storage.segment_people import Asked
from tests.storage.test_segments import person

Ask = Callable[[Connection, Asked], Awaitable[Any]]


def bounded(time: str) -> Asked:
    """The people of the app, as long as Postgres says of itself, while it finds them, that these bounds hold."""
    settings = {"statement_timeout": time, "work_mem": segment_people.MOST_MEMORY, "plan_cache_mode": "force_custom_plan"}
    holds = " AND ".join(f"current_setting('{name}') = '{value}'" for name, value in settings.items())
    return Asked("demo", sql(f"SELECT user_id FROM users WHERE {holds}"), {}, datetime.now(UTC))


async def counted(connection: Connection, asked: Asked) -> int:
    return (await segment_people.look(connection, asked, most=0, exactly=True))[0].people


async def counted_at_first(connection: Connection, asked: Asked) -> int:
    size, some = await segment_people.look(connection, asked, most=2)
    return size.people if len(some) == size.people else 0


async def estimated(connection: Connection, asked: Asked) -> int:
    return (await segment_people.look(connection, asked, most=0, exactly=False))[0].people


async def frozen(connection: Connection, asked: Asked) -> int:
    await segments.make_static(connection, "demo", "a_list")
    return await segment_people.freeze(connection, asked, "a_list")


async def frozen_in_pieces(connection: Connection, asked: Asked) -> int:
    await segments.make_static(connection, "demo", "a_list")
    return (await segment_people.freeze_next(connection, asked, "a_list", after=0, most=10)).listed


async def looked_up(connection: Connection, asked: Asked) -> int:
    return len(await segment_people.page(connection, asked, after=None, most=10))


async def looked_at(connection: Connection, asked: Asked) -> int:
    return len((await segment_people.among_next(connection, asked, after=0, most=10)).people)


async def explained(connection: Connection, asked: Asked) -> int:
    ids = (await connection.exec_driver_sql("SELECT id FROM users")).scalars().all()
    return [(await segment_people.explain(connection, asked, each)).holds for each in ids].count(True)


@pytest.mark.parametrize(
    ("ask", "time"),
    [
        (counted, "25s"),
        (counted_at_first, "2s"),
        (estimated, "25s"),
        (frozen, "25s"),
        (frozen_in_pieces, "25s"),
        (looked_up, "25s"),
        (looked_at, "25s"),
        (explained, "25s"),
    ],
)
async def test_what_is_asked_of_everybody_has_its_bounds_where_it_runs(database: Database, ask: Ask, time: str) -> None:
    async with database.transaction() as connection:
        for name in ("ann", "ben"):
            await person(connection, name)
        assert await ask(connection, bounded(time)) == 2
    async with database.transaction() as connection:
        here = (await connection.exec_driver_sql("SELECT current_setting('work_mem'), current_setting('statement_timeout')")).one()
        assert tuple(here) != (segment_people.MOST_MEMORY, time), "what holds everywhere would show nothing"
