"""What a registered function is given and may raise: all that somebody who writes one has to know.

CallError
├── NotNow    try again later: after `retry_after`, else with backoff, for 72 hours
└── Failed    it cannot be done: the journey goes on with `otherwise`
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from journeys.language.errors import SojournError


@dataclass(frozen=True)
class FunctionCall:
    """One call for one person. `captured` maps step id to what it caught. `idempotency_key` is the same for every try of this visit."""

    app: str
    user_id: str | None
    attributes: Mapping[str, Any]
    entry: Mapping[str, Any]
    captured: Mapping[str, Mapping[str, Any]]
    arguments: Mapping[str, Any]
    idempotency_key: str
    journey: str = ""
    step: str = ""


Function = Callable[[FunctionCall], Awaitable[Mapping[str, Any]]]


class CallError(SojournError):
    """A function's word that it has no result. The reason is shown to people and kept: no addresses, no secrets."""

    def __init__(self, reason: str) -> None:
        self.reason = reason[:300]
        super().__init__(self.reason)


class NotNow(CallError):
    """Try again: after `retry_after` where it is known, else with backoff."""

    def __init__(self, reason: str, retry_after: timedelta | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(reason)


class Failed(CallError):
    """It cannot be done; the same again would fail again."""
