"""Who asks at the same time is answered at once, each with their own."""

import asyncio
from collections.abc import Sequence

import pytest

from activities.together import Together


class Answers:
    """Answers with the tenfold, when it is let; what it was asked together stands in `asked`."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may = asyncio.Event()
        self.fails = False

    async def __call__(self, asked: Sequence[int]) -> Sequence[int]:
        self.asked.append(list(asked))
        await self.may.wait()
        if self.fails:
            raise ValueError("no answer")
        return [10 * each for each in asked]


async def moment() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_while_an_answer_is_sought_is_answered_by_the_next_one() -> None:
    answers = Answers()
    together = Together(answers)
    first = [asyncio.create_task(together.ask(number)) for number in (1, 2)]
    await moment()
    later = [asyncio.create_task(together.ask(number)) for number in (3, 4, 5)]
    await moment()
    answers.may.set()
    assert await asyncio.gather(*first, *later) == [10, 20, 30, 40, 50]
    assert answers.asked == [[1, 2], [3, 4, 5]]
    assert await together.ask(6) == 60


async def test_an_error_is_raised_to_all_who_asked_and_to_nobody_after_them() -> None:
    answers = Answers()
    answers.may.set()
    answers.fails = True
    together = Together(answers)
    ends = await asyncio.gather(*(together.ask(number) for number in (1, 2)), return_exceptions=True)
    assert [type(end) for end in ends] == [ValueError, ValueError]
    answers.fails = False
    assert await together.ask(3) == 30


async def test_who_is_cancelled_takes_nothing_from_the_others() -> None:
    answers = Answers()
    together = Together(answers)
    one, other = (asyncio.create_task(together.ask(number)) for number in (1, 2))
    await moment()
    one.cancel()
    await moment()
    answers.may.set()
    assert await other == 20
    with pytest.raises(asyncio.CancelledError):
        await one
