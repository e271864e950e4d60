"""A provider that answers by a script and writes down, append-only, what it took and what it said."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from channels.base import Ambiguous, Content, NotSent, Outgoing, Receipt, Rejected


@dataclass(frozen=True)
class Line:
    """One call: `taken` says whether the message really went out, whatever was told."""

    message_id: UUID
    address: str
    taken: bool
    told: str


_TAKES = {"ok", "hang", "accept_then_hang", "accept_then_die", "bug"}


class Death(BaseException):
    """The process dies here: no `except Exception` may carry on."""


@dataclass
class Provider:
    """`script` has one word a call, the last for ever: see `_answer`."""

    script: list[str] = field(default_factory=lambda: ["ok"])
    name: str = "scripted"
    channel: str = "email"
    record: list[Line] = field(default_factory=list)
    seen: list[Outgoing] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    is_held: bool = False
    """Whatever it answers, it waits until it is released."""

    async def send(self, outgoing: Outgoing) -> Receipt:
        word = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.seen.append(outgoing)
        self.called.set()
        # A real provider is never so quick that nobody else has had a turn.
        await (self.released.wait() if self.is_held else asyncio.sleep(0))
        self.record.append(Line(outgoing.message_id, outgoing.address, word in _TAKES, word))
        return await self._answer(word, outgoing)

    async def _answer(self, word: str, outgoing: Outgoing) -> Receipt:
        match word:
            case "ok":
                return Receipt(ref=f"ref-{outgoing.message_id}")
            case "hang":
                await self.released.wait()
                return Receipt(ref=f"ref-{outgoing.message_id}")
            case "not_sent":
                raise NotSent("refused the connection")
            case "throttled":
                raise NotSent("429", retry_after_s=7, is_throttle=True)
            case "rejected" | "dead_address":
                raise Rejected("550 no such mailbox", suppress=word == "dead_address")
            case "listed":
                raise Rejected("400 21610", is_listed=True)
            case "ambiguous":
                raise Ambiguous("reset after the request left")
            case "accept_then_hang":
                await asyncio.sleep(3600)
            case "bug":
                raise KeyError("adapter")
            case _:
                raise Death(word)
        raise AssertionError

    async def verify(self) -> None: ...

    async def close(self) -> None: ...

    @property
    def taken(self) -> list[str]:
        return [line.address for line in self.record if line.taken]


@dataclass
class PlainRenderer:
    """Renders the variables themselves, so that tests can look at them; `fails` is raised instead."""

    fails: Exception | None = None

    async def render(
        self, template_name: str, version: int, _files: Mapping[str, str], channel: str, variables: Mapping[str, Any]
    ) -> Content:
        if self.fails is not None:
            raise self.fails
        return Content(channel, {"template": template_name, "version": version, "variables": dict(variables)})
