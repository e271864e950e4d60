"""Keeps the processes that `sojourn worker --processes` has forked: hands signals on, and replaces one that was killed.

python -S keeper.py PID PID ... -- COMMAND ... is what that command becomes. It imports nearly nothing, because it lives as long as they.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence

HEARD = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
# Who is killed as soon as it lives must not be started without end.
_PAUSE_S = 1.0


class Keeper:
    """`numbers` are those of the processes that run, by pid; `another` starts one, with its number behind it."""

    def __init__(self, numbers: dict[int, int], another: Sequence[str]) -> None:
        self.numbers = numbers
        self.another = another
        self.is_stopping = False
        self.code = 0

    def run(self) -> int:
        """Until all have ended; returns the exit code.

        One that a signal ended, or that was told alone to end, is replaced. One that fails by itself ends all with its code: the next one
        would fail likewise.
        """
        while True:
            for number in self._gone():
                self._start(number)
            if not self.numbers:
                return self.code
            if signal.sigwait(HEARD) != signal.SIGCHLD:
                self._stop()

    def _gone(self) -> list[int]:
        """The numbers of those that have ended and are to be replaced."""
        missing = []
        while self.numbers and (found := os.waitpid(-1, os.WNOHANG))[0]:
            pid, ended_with = found[0], os.waitstatus_to_exitcode(found[1])
            number = self.numbers.pop(pid)
            if self.is_stopping:
                continue
            if ended_with > 0:
                self.code = ended_with
                self._stop()
            else:
                how = f"was ended by signal {-ended_with}" if ended_with else "has ended"
                sys.stderr.write(f"process {number} {how}: starting it again\n")
                missing.append(number)
        if missing:
            time.sleep(_PAUSE_S)
        return [] if self.is_stopping else missing

    def _start(self, number: int) -> None:
        command = [*self.another, str(number)]
        self.numbers[os.posix_spawn(command[0], command, os.environ, setsigmask=())] = number

    def _stop(self) -> None:
        self.is_stopping = True
        for pid in self.numbers:
            os.kill(pid, signal.SIGTERM)


def main(arguments: Sequence[str]) -> int:
    end = arguments.index("--")
    return Keeper({int(pid): number for number, pid in enumerate(arguments[:end])}, arguments[end + 1 :]).run()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
