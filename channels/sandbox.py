"""The adapter that sends nothing: it hands each message to a function that keeps it. Default in development, and the adapter of tests."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from channels.base import Ambiguous, Outgoing, Receipt
from channels.deadline import refuse_when_late
from channels.email.attachments import as_seen
from journeys.language.errors import Unavailable


@dataclass(frozen=True)
class Kept:
    """What would have left, as its receiver would see it."""

    app: str
    message_id: UUID
    channel: str
    recipient: str
    content: dict[str, Any]


Keep = Callable[[Kept], Awaitable[None]]


@dataclass(frozen=True)
class SandboxAccount:
    """An account that needs nothing: what an app sends on that channel is kept."""


class Sandbox:
    """Keeps messages of one channel through `keep`, which may raise Unavailable: a lost commit is then as ambiguous as a lost answer."""

    name = "sandbox"

    def __init__(self, channel: str, keep: Keep) -> None:
        self.channel = channel
        self._keep = keep

    async def send(self, outgoing: Outgoing) -> Receipt:
        refuse_when_late(outgoing)
        content = dict(outgoing.content.parts)
        if "attachments" in content:
            content["attachments"] = as_seen(content)
        if outgoing.unsubscribe_url:
            content["unsubscribe_url"] = outgoing.unsubscribe_url
        try:
            await self._keep(Kept(outgoing.app, outgoing.message_id, self.channel, outgoing.address, content))
        except Unavailable as error:
            raise Ambiguous("the sandbox did not answer") from error
        return Receipt(ref=str(outgoing.message_id))

    async def verify(self) -> None:
        """There is nobody to ask."""

    async def close(self) -> None:
        """Nothing is held open."""
