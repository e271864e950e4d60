"""Gates before the providers: a breaker that keeps rows planned while a provider is away, and a bound on local tries.

One gate a provider and process. It knows nothing of the ledger: who is refused leaves the row as it is and comes back.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class Outcome(Enum):
    """What a try said about the provider."""

    ANSWERED = "answered"
    FAILED = "failed"
    UNUSED = "unused"
    """Nothing was asked of it: no row was there to send, or it could not be rendered."""


@dataclass(frozen=True)
class Bounds:
    """After so many failures in a row nobody is let in for a pause, which doubles with each failed probe.

    Local tries have few slots: they wait a moment in line for one, then leave it to the ordinary activity.
    """

    failures: int = 5
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    local_slots: int = 16
    crowded_wait_s: float = 1.0


@dataclass
class Gate:
    """The gate before one provider."""

    bounds: Bounds
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    opens_at: float = 0.0
    is_probing: bool = False
    pause_s: float = field(init=False)
    _turns: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.pause_s = self.bounds.first_pause_s
        self._turns = asyncio.Semaphore(self.bounds.local_slots)

    async def take_turn(self) -> bool:
        """Wait in line for a slot of the local tries; False when the line is too long. After True `give_turn` must follow."""
        try:
            async with asyncio.timeout(self.bounds.crowded_wait_s):
                return await self._turns.acquire()
        except TimeoutError:
            return False

    def give_turn(self) -> None:
        self._turns.release()

    @property
    def is_open(self) -> bool:
        """In the sense of a breaker: nobody passes, or only one probe does."""
        return self.failures >= self.bounds.failures

    def enter(self) -> float | None:
        """Return None when let in (then `leave` must follow), else how many seconds to stay away."""
        if self.is_open:
            left = self.opens_at - self.clock()
            if left > 0 or self.is_probing:
                return max(left, self.bounds.crowded_wait_s)
        self.is_probing = self.is_open
        return None

    def leave(self, outcome: Outcome, *, retry_after_s: float | None = None) -> None:
        """Say how it went. A provider that named a time gets it, up to the longest pause."""
        self.is_probing = False
        if outcome is Outcome.ANSWERED:
            self.failures, self.pause_s = 0, self.bounds.first_pause_s
        elif outcome is Outcome.FAILED:
            self._failed(retry_after_s)

    def _failed(self, retry_after_s: float | None) -> None:
        self.failures += 1
        if retry_after_s is not None:
            self.failures = max(self.failures, self.bounds.failures)
            self.opens_at = self.clock() + min(retry_after_s, self.bounds.longest_pause_s)
        elif self.is_open:
            self.opens_at = self.clock() + self.pause_s
            self.pause_s = min(self.pause_s * 2, self.bounds.longest_pause_s)


class Gates:
    """The gates of this process, by the provider's name."""

    def __init__(self, bounds: Bounds | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._gates: dict[str, Gate] = {}

    def of(self, provider: str) -> Gate:
        return self._gates.setdefault(provider, Gate(self._bounds, self._clock))

    def closed_to(self) -> list[str]:
        """The providers whose breaker is open, for metrics and health; sorted."""
        return sorted(name for name, gate in self._gates.items() if gate.is_open)
