"""Every core of the machine for what only computes: child processes, started when they are first needed and gone when they are idle."""

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from typing import TypeVar

IDLE_S = 30.0

Item = TypeVar("Item")
Found = TypeVar("Found")


class Cores:
    """The child processes of one worker."""

    def __init__(self, count: int | None = None) -> None:
        self.count = count or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None
        self._closing: asyncio.TimerHandle | None = None

    async def spread(self, function: Callable[[str, Sequence[Item]], Found], text: str, items: Sequence[Item]) -> list[Found]:
        """Call `function(text, part)` for as many parts of `items` as there are cores, at once. The function is one of a module's own."""
        parts = [items[start :: self.count] for start in range(self.count)]
        loop = asyncio.get_running_loop()
        pool = self._open()
        try:
            return await asyncio.gather(*(loop.run_in_executor(pool, function, text, part) for part in parts if part))
        except BrokenExecutor:
            # A child was killed.
            self.close()
            raise
        finally:
            self._close_when_idle(loop)

    def close(self, *, wait: bool = False) -> None:
        """Let the child processes end; the next call starts new ones."""
        if self._closing is not None:
            self._closing.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=wait, cancel_futures=True)
            self._pool = None

    def _open(self) -> ProcessPoolExecutor:
        if self._closing is not None:
            self._closing.cancel()
        if self._pool is None:
            # Forking a process with Temporal's threads in it would copy their locks.
            self._pool = ProcessPoolExecutor(self.count, multiprocessing.get_context("spawn"), initializer=end_with_parent)
        return self._pool

    def _close_when_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._closing = loop.call_later(IDLE_S, self.close)


def end_with_parent() -> None:
    """Let this child end when its parent is gone, also by SIGKILL, after which nobody would tell it."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
