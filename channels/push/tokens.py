"""Access tokens that a provider lends for about an hour: one for all sends of a process, renewed before it ends."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from channels.base import Ambiguous, NotSent, Outgoing, Rejected
from channels.deadline import seconds_left
from channels.provider_api import Answer

_EARLY_S = 300.0
_LONGEST_S = 3600.0

Ask = Callable[[Outgoing], Awaitable[Answer]]


class Tokens:
    """The token of one account. `ask` makes the exchange; one send asks and the others wait for its answer."""

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._renew_at = float("-inf")

    async def current(self, outgoing: Outgoing) -> str:
        """A token that is good for some minutes. Raises NotSent: without one nothing of the message has left."""
        try:
            async with asyncio.timeout(max(0.001, seconds_left(outgoing) - 0.05)), self._lock:
                if self._clock() >= self._renew_at:
                    await self._renew(outgoing)
                return self._token
        except TimeoutError as error:
            raise NotSent("no access token in time") from error

    def forget(self, token: str) -> None:
        """The provider takes this token no more. One that came meanwhile stays."""
        if token == self._token:
            self._renew_at = float("-inf")

    async def _renew(self, outgoing: Outgoing) -> None:
        asked_at = self._clock()
        try:
            answer = await self._ask(outgoing)
        except (Ambiguous, Rejected) as error:
            raise NotSent(f"no access token: {error.answer}") from error
        members = answer.members() if answer.is_success else {}
        token, good_for_s = members.get("access_token"), _seconds(members.get("expires_in"))
        if not isinstance(token, str) or not token or good_for_s <= 0:
            raise NotSent(f"no access token: HTTP {answer.status}")
        self._token = token
        self._renew_at = asked_at + max(good_for_s - _EARLY_S, good_for_s / 2)


def _seconds(value: Any) -> float:
    return min(float(value), _LONGEST_S) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
