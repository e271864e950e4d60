"""Gates before the providers: a breaker that keeps rows planned while a provider is away, and a bound on local tries.

One gate an account and process; what they tell each other stands in activities/traffic.py. It knows nothing of the ledger: who is
refused leaves the row as it is and comes back.
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

    A time that the provider names counts as it is, up to `longest_named_s`. Local tries have few slots: they wait a moment in line for
    one, then leave it to the ordinary activity.
    """

    failures: int = 5
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    longest_named_s: float = 3600.0
    local_slots: int = 16
    crowded_wait_s: float = 1.0


@dataclass(frozen=True)
class Entry:
    """Somebody was let in, and must leave. A probe's failure lengthens the pause; who was in flight already only confirms it."""

    is_probe: bool


@dataclass
class Gate:
    """The gate before one account."""

    bounds: Bounds
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    opens_at: float = 0.0
    closed_until: float = 0.0
    called_at: float = float("-inf")
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

    def wait_s(self) -> float | None:
        """How many seconds whoever came now would have to stay away; None: it would be let in."""
        left = max(self.closed_until, self.opens_at if self.is_open else 0.0) - self.clock()
        if left > 0 or (self.is_open and self.is_probing):
            return max(left, self.bounds.crowded_wait_s)
        return None

    def wait_before_claim_s(self) -> float | None:
        """The same before a claim. Of those who could probe only one is told to come, so that the others are not claimed for nothing."""
        wait_s = self.wait_s()
        if wait_s is not None or not self.is_open:
            return wait_s
        if self.clock() - self.called_at < self.bounds.first_pause_s:
            return self.bounds.crowded_wait_s
        self.called_at = self.clock()
        return None

    def enter(self) -> Entry | float:
        """Let somebody in (then `leave` must follow), or say how many seconds to stay away."""
        wait_s = self.wait_s()
        if wait_s is not None:
            return wait_s
        self.is_probing = self.is_open
        return Entry(is_probe=self.is_open)

    def leave(self, entry: Entry, outcome: Outcome, *, retry_after_s: float | None = None) -> None:
        """Say how it went."""
        if entry.is_probe:
            self.is_probing = False
        if retry_after_s is not None:
            self.close_for(retry_after_s)
        if outcome is Outcome.ANSWERED:
            self.reopen()
        elif outcome is Outcome.FAILED:
            self._failed(entry)

    def close_for(self, seconds: float) -> None:
        """Let nobody in before this has passed; a longer closure that is known stays."""
        self.closed_until = max(self.closed_until, self.clock() + min(seconds, self.bounds.longest_named_s))

    def stay_away(self, seconds: float) -> None:
        """Another worker found the provider away: open the breaker as it did."""
        self.failures = max(self.failures, self.bounds.failures)
        self.opens_at = max(self.opens_at, self.clock() + seconds)

    def reopen(self) -> None:
        self.failures, self.pause_s = 0, self.bounds.first_pause_s

    def _failed(self, entry: Entry) -> None:
        was_open = self.is_open
        self.failures += 1
        if self.is_open and (entry.is_probe or not was_open):
            self.opens_at = max(self.opens_at, self.clock() + self.pause_s)
            self.pause_s = min(self.pause_s * 2, self.bounds.longest_pause_s)


class Gates:
    """The gates of this process, by the account's name."""

    def __init__(self, bounds: Bounds | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._gates: dict[str, Gate] = {}

    def of(self, provider: str) -> Gate:
        return self._gates.setdefault(provider, Gate(self._bounds, self._clock))
