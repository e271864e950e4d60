"""A channel of the house's own: what leaves is handed to a registered function of the house's Python.

| what the function did             | verdict                                                    |
|-----------------------------------|------------------------------------------------------------|
| returned                          | sent; `ref` of what it returned is kept                    |
| raised NotNow                     | NotSent, with its time                                     |
| raised Failed                     | Rejected                                                   |
| raised anything else, or hung     | Ambiguous: nobody knows how far it came                    |
| this worker has no such function  | NotSent: another may have it, or a deploy brings it        |

It is called at least once, with the message's id as the key of every try.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from channels.base import Ambiguous, NotSent, NotVerifiable, Outgoing, Receipt, SendFailed, ToReceivers
from channels.deadline import refuse_when_late


@dataclass(frozen=True)
class Asked:
    """What a function is to deliver. `fields` are those of custom.toml, filled in; `recipient` is the caller's id of the user."""

    app: str
    recipient: str
    message_id: UUID
    fields: Mapping[str, str]


# Returns the function's own reference, if it has one. Raises what an adapter may raise.
Deliver = Callable[[Asked], Awaitable[str | None]]


class FunctionChannel(ToReceivers):
    """Hands each message to the function that its template names."""

    name = "function"
    channel = "custom"

    def __init__(self, functions: Mapping[str, Deliver]) -> None:
        self._functions = functions

    async def send(self, outgoing: Outgoing) -> Receipt:
        refuse_when_late(outgoing)
        parts: Mapping[str, Any] = outgoing.content.parts
        deliver = self._functions.get(parts["function"])
        if deliver is None:
            raise NotSent(f"this worker has no function {parts['function']}")
        asked = Asked(outgoing.app, outgoing.address, outgoing.message_id, dict(parts.get("fields", {})))
        try:
            return Receipt(ref=await deliver(asked))
        except SendFailed:
            raise
        except Exception as error:
            # A team's code may fail in any way, before or after it has delivered.
            raise Ambiguous(f"{parts['function']} raised {type(error).__name__}") from error

    async def verify(self) -> None:
        raise NotVerifiable("a function is asked when there is something to deliver")

    async def close(self) -> None:
        """Nothing is held open."""
