"""Keeps the processes of `sojourn dev` running: a part that ends is started again with a line that says so."""

import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.children import start_child, stop_child

SETTLED_AFTER_S = 10.0
LONGEST_PAUSE_S = 30.0


@dataclass
class Part:
    """One child process and how often it has ended soon after its start. It inherits the descriptors in `keep_open`."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    keep_open: tuple[int, ...] = ()
    child: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    early_ends: int = 0
    start_at: float = 0.0

    @property
    def is_up(self) -> bool:
        return self.child is not None and self.child.poll() is None


class Supervisor:
    """Parts in the order of their start; they are stopped in the opposite order. All of them inherit the descriptors in `keep_open`."""

    def __init__(self, say: Callable[[str], None], *, keep_open: Collection[int] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._keep_open = keep_open
        self._clock = clock
        self._parts: list[Part] = []

    def start(self, part: Part) -> None:
        self._parts.append(part)
        self._start(part)

    def look(self) -> None:
        """Start what has ended again: at once the first time, then after longer and longer pauses while it ends within seconds."""
        for part in self._parts:
            if part.is_up:
                continue
            if part.child is not None:
                self._note_end(part, part.child.returncode)
            elif self._clock() >= part.start_at:
                self._start(part)

    def stop(self) -> None:
        for part in reversed(self._parts):
            if part.child is not None:
                stop_child(part.child)
        self._parts.clear()

    def _start(self, part: Part) -> None:
        part.child = start_child(part.command, part.log, environment=part.environment, keep_open=(*self._keep_open, *part.keep_open))
        part.started_at = self._clock()

    def _note_end(self, part: Part, code: int) -> None:
        now = self._clock()
        part.child = None
        part.early_ends = part.early_ends + 1 if now - part.started_at < SETTLED_AFTER_S else 1
        pause = 0.0 if part.early_ends == 1 else min(2.0 ** (part.early_ends - 1), LONGEST_PAUSE_S)
        part.start_at = now + pause
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        again = "starting it again" if not pause else f"starting it again in {pause:.0f} s"
        self._say(f"{part.name} {how}: {again} (its log: {part.log})")
