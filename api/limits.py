"""How often each key may ask: a bucket of tokens for each key in this process, told in the RateLimit headers.

Each process counts by itself, so behind three of them a key may ask three times as often; what it spares is a statement a request.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from fastapi import Request

from api.errors import TooManyRequests
from settings import Settings

Lane = Literal["ingest", "send", "manage", "client"]
BURST_S = 10
"""A key that was quiet may ask as often at once as its rate allows in ten seconds."""

_MOST_KEYS = 10_000


@dataclass
class _Bucket:
    tokens: float
    at: float


@dataclass(frozen=True)
class Allowance:
    """What a key has left after this request; `wait_s` above 0: it had nothing, and this is how long until it has."""

    limit: int
    remaining: int
    reset_s: int
    wait_s: float = 0.0

    def headers(self) -> dict[str, str]:
        """The three headers that are widely read."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }


class Limits:
    """The buckets of one process. `rates`: requests a second by lane; 0 means no limit."""

    def __init__(self, rates: Mapping[Lane, int], clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._clock = clock
        self._buckets: dict[tuple[str, Lane], _Bucket] = {}

    def take(self, key_id: str, lane: Lane) -> Allowance | None:
        """Count one request; None where the lane has no limit."""
        rate = self._rates[lane]
        if rate == 0:
            return None
        limit, bucket, now = rate * BURST_S, self._bucket((key_id, lane), rate), self._clock()
        bucket.tokens = min(limit, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        wait_s = max(0.0, (1 - bucket.tokens) / rate)
        if not wait_s:
            bucket.tokens -= 1
        return Allowance(limit, int(bucket.tokens), math.ceil((limit - bucket.tokens) / rate), wait_s)

    def _bucket(self, name: tuple[str, Lane], rate: int) -> _Bucket:
        if name not in self._buckets:
            if len(self._buckets) >= _MOST_KEYS:
                self._buckets.clear()
            self._buckets[name] = _Bucket(rate * BURST_S, self._clock())
        return self._buckets[name]


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings name."""
    return Limits(
        {"ingest": settings.ingest_rate, "send": settings.send_rate, "manage": settings.manage_rate, "client": settings.client_rate}
    )


def take(request: Request, key_id: str, lane: Lane) -> None:
    """Count this request, and let its answer tell what is left. Raises TooManyRequests."""
    allowed = request.app.state.limits.take(key_id, lane)
    if allowed is None:
        return
    request.state.headers = {**getattr(request.state, "headers", {}), **allowed.headers()}
    if allowed.wait_s:
        raise TooManyRequests(f"this key may ask {allowed.limit} times in {BURST_S} seconds", allowed.wait_s)
