"""A few child processes that do the work of templates, each killed and replaced when it does not answer in time."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from channels.render_child import FRAME_LIMIT
from journeys.language.errors import Unavailable

_OURS = str(Path(__file__).resolve().parents[1])
_START_S = 20.0
# A version of a template is read once in a process; what must be rendered by a child comes again and again.
_IDLE_AFTER_READING_S = 0.25
# Ended by its own timer or CPU limit: the template took too long. Anything else that ends a child is its memory.
_BY_TIME = (-signal.SIGPROF, -signal.SIGXCPU)


class Children:
    """`count` processes at most, each of some 20 MB: started when needed, and ended when nobody has needed it for a while.

    That is `idle_s` after a render, and a quarter of a second after a template was read. Callers are served in the order in which they
    came, by the child that was busy last.
    """

    def __init__(self, count: int = 2, *, wall_s: float = 1.0, queue_s: float = 10.0, idle_s: float = 20.0) -> None:
        self._wall_s = wall_s
        self._queue_s = queue_s
        self._free: asyncio.LifoQueue[_Child] = asyncio.LifoQueue()
        self._idle_s = idle_s
        self._all = [_Child() for _ in range(count)]
        for child in self._all:
            self._free.put_nowait(child)

    async def ask(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Let a child do `job` and return its answer; `failed` in it is a reason code.

        A job that uses up its CPU time or memory ends its child: template_too_slow, template_too_large. Raises Unavailable when no child
        was free in time, or the machine left the child too little CPU to answer within `wall_s`: nothing is said of the template then.
        """
        try:
            async with asyncio.timeout(self._queue_s):
                child = await self._free.get()
        except TimeoutError as error:
            raise Unavailable("every template process is busy") from error
        try:
            return await child.ask(job, self._wall_s)
        finally:
            child.rest(self._idle_s if job["do"] == "render" else min(_IDLE_AFTER_READING_S, self._idle_s))
            self._free.put_nowait(child)

    async def close(self) -> None:
        for child in self._all:
            await child.stop()

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        return [child.pid for child in self._all if child.pid is not None]


class _Child:
    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._resting: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def ask(self, job: Mapping[str, Any], wall_s: float) -> dict[str, Any]:
        raw = orjson.dumps(job, default=str)
        self._wake()
        process = await self._started()
        try:
            async with asyncio.timeout(wall_s):
                answer = await _exchange(process, raw)
        except TimeoutError as error:
            await self.stop()
            raise Unavailable("the machine is too busy to render templates") from error
        except (EOFError, OSError):
            return {"failed": await self._why_it_died()}
        except BaseException:
            # Cancelled in between: the answer on its way must not be taken for the next one.
            await self.stop()
            raise
        if answer["is_leaving"]:
            await self.stop()
        return answer

    def rest(self, idle_s: float) -> None:
        """Nobody needs it now: if that stays so, it ends."""
        if self._process is not None:
            self._resting = asyncio.create_task(self._end_if_idle(idle_s))

    def _wake(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    async def _end_if_idle(self, idle_s: float) -> None:
        await asyncio.sleep(idle_s)
        self._resting = None
        await self.stop()

    async def stop(self) -> None:
        self._wake()
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()
        _close_pipes(process)

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            await self.stop()
            self._process = await _spawn()
        return self._process

    async def _why_it_died(self) -> str:
        process = self._process
        code = await process.wait() if process else 0
        await self.stop()
        return "template_too_slow" if code in _BY_TIME else "template_too_large"


async def _spawn() -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-S",  # Of 20 MB it saves two: what the site's own files load is not needed.
        "-P",
        "-m",
        "channels.render_child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # Only where modules are: none of our secrets.
        env={"PYTHONPATH": os.pathsep.join([_OURS, *filter(None, sys.path)]), "LANG": "C.UTF-8"},
        limit=FRAME_LIMIT + 4,
    )
    try:
        async with asyncio.timeout(_START_S):
            await _read(process)
    except (TimeoutError, EOFError) as error:
        process.kill()
        await process.wait()
        _close_pipes(process)
        raise Unavailable("the template process does not start") from error
    return process


async def _exchange(process: asyncio.subprocess.Process, raw: bytes) -> dict[str, Any]:
    if process.stdin is None:
        raise EOFError
    process.stdin.write(len(raw).to_bytes(4, "big") + raw)
    await process.stdin.drain()
    return await _read(process)


async def _read(process: asyncio.subprocess.Process) -> dict[str, Any]:
    if process.stdout is None:
        raise EOFError
    size = int.from_bytes(await process.stdout.readexactly(4), "big")
    if size > FRAME_LIMIT:
        raise EOFError
    answer: dict[str, Any] = orjson.loads(await process.stdout.readexactly(size))
    return answer


def _close_pipes(process: asyncio.subprocess.Process) -> None:
    # Without this the transport is closed by the garbage collector, which warns.
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
