"""Child processes that compute: spread over the cores, replaced when one is killed, gone with their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

from activities.jobs.cores import Cores

PARENT = """
import asyncio, os, sys, time
from activities.jobs.cores import Cores
from tests.activities.jobs.test_cores import who
async def main():
    print(*await Cores(1).spread(who, "", [1]), flush=True)
    time.sleep(60)
if __name__ == "__main__":
    asyncio.run(main())
"""


def total(text: str, numbers: Sequence[int]) -> tuple[str, int]:
    return text, sum(numbers)


def who(_text: str, _numbers: Sequence[int]) -> int:
    return os.getpid()


def die(_text: str, _numbers: Sequence[int]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def test_what_is_spread_is_done_once_each_by_other_processes() -> None:
    cores = Cores(2)
    assert sorted(await cores.spread(total, "x", [1, 2, 3, 4])) == [("x", 4), ("x", 6)]
    assert os.getpid() not in await cores.spread(who, "", [1, 2])
    assert await cores.spread(total, "x", []) == []
    cores.close(wait=True)


async def test_a_killed_child_fails_one_call_and_the_next_has_new_ones() -> None:
    cores = Cores(1)
    with pytest.raises(BrokenExecutor):
        await cores.spread(die, "", [1])
    assert await cores.spread(total, "x", [1, 2]) == [("x", 3)]
    cores.close(wait=True)


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the child outlives its parent"
        time.sleep(0.05)
