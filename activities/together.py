"""Many who ask at the same time, answered at once: what comes while an answer is sought waits for the next one, together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Together(Generic[Asked, Answer]):
    """`answer` is given what was asked meanwhile, and returns as many answers in that order; what it raises is raised to all of them."""

    def __init__(self, answer: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]]) -> None:
        self._answer = answer
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, asked: Asked) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._task is None:
            self._task = asyncio.ensure_future(self._serve())
        return await future

    async def _serve(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            try:
                answers = await self._answer([asked for asked, _ in waiting])
            except Exception as error:  # noqa: BLE001 - it is handed to everybody who asked, and the next ones may fare better
                for _, future in waiting:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), answer in zip(waiting, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
        self._task = None
