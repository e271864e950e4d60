"""The last look at the clock before bytes leave."""

import time

from channels.base import NotSent, Outgoing


def refuse_when_late(outgoing: Outgoing) -> None:
    """Raise NotSent when the claim's deadline has passed.

    A worker that was stopped beyond its claim wakes up here: another may have claimed the row, so no byte may leave (reliability.md, 3).
    """
    if seconds_left(outgoing) <= 0:
        raise NotSent("the claim ran out before anything was sent")


def seconds_left(outgoing: Outgoing) -> float:
    return outgoing.deadline - time.monotonic()
