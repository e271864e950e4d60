"""The last look at the clock before bytes leave."""

import time
from typing import Any

from channels.base import NotSent, Outgoing

_LEAVES = ("http11.send_request_headers.started", "http2.send_request_headers.started")


def refuse_when_late(outgoing: Outgoing) -> None:
    """Raise NotSent when the claim's deadline has passed.

    A worker that was stopped beyond its claim wakes up here: another may have claimed the row, so no byte may leave (reliability.md, 3).
    """
    if seconds_left(outgoing) <= 0:
        raise NotSent("the claim ran out before anything was sent")


def seconds_left(outgoing: Outgoing) -> float:
    return outgoing.deadline - time.monotonic()


class FirstByte:
    """Knows whether an HTTP request has begun to leave, and looks at the deadline just before: the `trace` of httpx."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self.is_past = False

    async def see(self, event: str, _details: dict[str, Any]) -> None:
        if event in _LEAVES:
            refuse_when_late(self._outgoing)
            self.is_past = True
