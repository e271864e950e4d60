"""Processes out of one that has loaded everything: what none of them changes is in memory once."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from cli import keeper
from cli.children import die_with_parent


def _become_keeper(pids: Sequence[str], another: Sequence[str]) -> NoReturn:
    """A program of its own: what was loaded would be kept for nobody, a copy of each page that the others have changed."""
    os.execv(sys.executable, [sys.executable, "-S", "-P", keeper.__file__, *pids, "--", *another])  # noqa: S606 - our own program


def fork_out(count: int, another: Sequence[str]) -> int:
    """Return in each of `count` new processes its number, from 0; the caller becomes their keeper, and does nothing of what follows.

    `another` is the command that takes the place of one that was killed; its number is put behind it. To be called before there are
    threads and event loops.
    """
    starter, pids = os.getpid(), []
    signal.pthread_sigmask(signal.SIG_BLOCK, keeper.HEARD)
    for number in range(count):
        if (pid := os.fork()) == 0:
            return _begun(number, starter)
        pids.append(str(pid))
    _become_keeper(pids, another)


def _begun(number: int, starter: int) -> int:
    """In the new process: hear signals again, and live no longer than who started it."""
    die_with_parent()
    if os.getppid() != starter:
        raise SystemExit(1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, keeper.HEARD)
    return number
