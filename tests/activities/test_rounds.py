"""A lane that looks every so often goes on looking."""

import asyncio

import pytest

from activities.rounds import rounds
from journeys.language.errors import Unavailable


async def test_a_round_without_postgres_is_followed_by_the_next_one() -> None:
    enough = asyncio.Event()
    made: list[int] = []

    async def one() -> None:
        made.append(len(made))
        if len(made) == 1:
            raise Unavailable("Postgres does not answer")
        enough.set()

    task = asyncio.create_task(rounds(one, 0, "lane_waits"))
    await asyncio.wait_for(enough.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made[:2] == [0, 1]


async def test_what_nobody_foresaw_ends_the_lane() -> None:
    async def one() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await rounds(one, 0, "lane_waits")
