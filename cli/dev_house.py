"""The journeys of the house during `sojourn dev`: published once at the very first start, later only compared with what is live."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cli.children import sojourn
from cli.local_keys import LocalKeys
from cli.plan_words import AS_LIVE

LOOK_EVERY_S = 1.0
PLAN = tuple(sojourn("plan", "--no-history"))
APPLY = tuple(sojourn("apply"))
_ENDINGS = {".py", ".txt", ".html", ".mjml", ".toml"}


def publish_first(keys: LocalKeys, say: Callable[[str], None], *, command: Sequence[str] = APPLY) -> None:
    """Publish the house for the first time; a house that cannot be published is told and does not stop anything."""
    done = subprocess.run(command, env=environment(keys), capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if done.returncode != 0:
        say(f"The journeys were not published; mend them and run `make apply`.\n{done.stdout}{done.stderr}".rstrip())


def environment(keys: LocalKeys) -> Mapping[str, str]:
    """What a command of the CLI needs to reach this Sojourn."""
    return {**os.environ, "SOJOURN_URL": keys.url, "SOJOURN_KEY": keys.secret_key}


class HouseWatch:
    """Runs `plan` in a process of its own when a file changed: an import that fails or hangs there touches nothing here."""

    def __init__(self, keys: LocalKeys, house: Path, *, command: Sequence[str] = PLAN, clock: Callable[[], float] = time.monotonic) -> None:
        self._environment = environment(keys)
        self._house = house
        self._command = command
        self._clock = clock
        self._look_at = 0.0
        self._seen: frozenset[tuple[str, int, int]] = frozenset()
        self._planning: subprocess.Popen[str] | None = None
        self._told = AS_LIVE

    @property
    def is_planning(self) -> bool:
        return self._planning is not None

    def look(self) -> str:
        """Say in words how the files differ from what is live: once each time that they were written, else nothing."""
        if self._planning is not None:
            return self._result(self._planning)
        if self._clock() >= self._look_at:
            self._look_at = self._clock() + LOOK_EVERY_S
            seen = _files(self._house)
            if seen != self._seen:
                self._seen = seen
                self._planning = subprocess.Popen(  # noqa: S603 - ourselves
                    self._command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
                )
        return ""

    def _result(self, planning: subprocess.Popen[str]) -> str:
        if planning.poll() is None:
            return ""
        words = planning.communicate()[0].strip()
        self._planning = None
        # One edit and the next may be told in the same words; only as live after as live is worth no line.
        if words == self._told == AS_LIVE:
            return ""
        self._told = words
        return words


def _files(house: Path) -> frozenset[tuple[str, int, int]]:
    """Give name, time and size of every file that a journey or template is made of."""
    files = [file for file in house.rglob("*") if file.suffix in _ENDINGS]
    return frozenset((str(file), status.st_mtime_ns, status.st_size) for file in files if (status := file.stat()))
