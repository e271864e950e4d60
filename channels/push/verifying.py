"""What stands for a message where an account is asked whether it works."""

import time
from uuid import UUID

from channels.base import Content, Outgoing

_WITHIN_S = 10.0


def nothing_to(address: str) -> Outgoing:
    """A message of nobody to an address that cannot exist."""
    content = Content("push", {"silent": True})
    return Outgoing(UUID(int=0), "", address, content, "transactional", None, time.monotonic() + _WITHIN_S)
