"""In-app messages: nothing leaves the house, the message is put where the person's own client fetches it.

| what happened                         | verdict                                                                    |
|---------------------------------------|----------------------------------------------------------------------------|
| the fields break a rule               | Rejected: filled in with this person's data, a link is none, a text too long |
| the person is gone                    | Rejected                                                                   |
| it was put there                      | sent; again under the same id changes nothing twice, so nothing is unknown |
| Postgres does not answer              | NotSent: putting it there again is the same                                |
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from channels.base import NotSent, Outgoing, Receipt, Rejected
from channels.deadline import refuse_when_late
from channels.in_app.parts import InAppParts
from journeys.language.errors import Unavailable


@dataclass(frozen=True)
class Shown:
    """One message as the person's client will be given it. `most_shown`: impressions after which it is over."""

    app: str
    message_id: UUID
    recipient: str
    content: dict[str, Any]
    placement: str
    in_inbox: bool
    priority: int
    most_shown: int | None
    expires_in: timedelta


# Puts a message, or what it says now, into the feed of whom the ledger's row names. False: there is nobody any more. Raises Unavailable.
Show = Callable[[Shown], Awaitable[bool]]


class Feed:
    """Puts messages into feeds through `show`, which the worker hands it: channels know no storage."""

    name = "feed"
    channel = "in_app"

    def __init__(self, show: Show) -> None:
        self._show = show

    async def send(self, outgoing: Outgoing) -> Receipt:
        refuse_when_late(outgoing)
        shown = _shown(outgoing)
        try:
            is_there = await self._show(shown)
        except Unavailable as error:
            raise NotSent("the database does not answer") from error
        if not is_there:
            raise Rejected("there is nobody any more whom it is for")
        return Receipt(ref=str(outgoing.message_id))

    async def verify(self) -> None:
        """There is nobody to ask: it is our own database."""

    async def close(self) -> None:
        """Nothing is held open."""


def _shown(outgoing: Outgoing) -> Shown:
    try:
        parts = InAppParts.model_validate(outgoing.content.parts)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Rejected(f"{place}: {first['msg']}") from error
    return Shown(
        app=outgoing.app,
        message_id=outgoing.message_id,
        recipient=outgoing.address,
        content=parts.shown(),
        placement=parts.placement,
        in_inbox=parts.inbox or parts.placement == "inbox",
        priority=parts.priority,
        most_shown=parts.caps.total,
        expires_in=parts.expires_in,
    )
