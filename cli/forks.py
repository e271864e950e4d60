"""Processes out of one that has loaded everything: what none of them changes is in memory once, and one that is killed is replaced."""

import os
import signal
import time
from dataclasses import dataclass, field

import structlog

from cli.children import die_with_parent

_HEARD = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
# Who is killed as soon as it lives must not be forked without end.
_PAUSE_S = 1.0
_log = structlog.get_logger()


def fork_out(count: int) -> int:
    """Return in each of `count` new processes its number, from 0. The caller stays in here, and exits when all of them have ended.

    SIGTERM and SIGINT are handed on. One that a signal ended, or that was told alone to end, is replaced; one that fails by itself ends all
    with its code, because the next one would fail likewise. To be called before there are threads and event loops.
    """
    starter, forked = os.getpid(), _Forked()
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    missing = list(range(count))
    while missing or forked.numbers:
        for number in missing:
            if (pid := os.fork()) == 0:
                return _begun(number, starter)
            forked.numbers[pid] = number
        if signal.sigwait(_HEARD) != signal.SIGCHLD:
            forked.stop()
        missing = forked.gone()
    raise SystemExit(forked.code)


def _begun(number: int, starter: int) -> int:
    """In the new process: hear signals again, and live no longer than who started it."""
    die_with_parent()
    if os.getppid() != starter:
        raise SystemExit(1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
    return number


@dataclass
class _Forked:
    """The processes that run, by their pid."""

    numbers: dict[int, int] = field(default_factory=dict)
    is_stopping: bool = False
    code: int = 0

    def stop(self) -> None:
        self.is_stopping = True
        for pid in self.numbers:
            os.kill(pid, signal.SIGTERM)

    def gone(self) -> list[int]:
        """The numbers of those that have ended and are to be replaced."""
        missing = []
        while self.numbers and (found := os.waitpid(-1, os.WNOHANG))[0]:
            pid, ended_with = found[0], os.waitstatus_to_exitcode(found[1])
            number = self.numbers.pop(pid)
            if self.is_stopping:
                continue
            if ended_with > 0:
                self.code = ended_with
                self.stop()
            else:
                _log.warning("process ended, another takes its place", number=number, pid=pid, ended_with=ended_with)
                missing.append(number)
        if missing:
            time.sleep(_PAUSE_S)
        return [] if self.is_stopping else missing
