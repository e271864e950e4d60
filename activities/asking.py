"""Asking providers whether messages that may have gone out did: only where a provider can find one by our own id."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog

from channels.accounts import Surroundings, adapter_of
from channels.base import Adapter, Findable, SendFailed, Sought
from channels.registry import KINDS
from journeys.language.errors import ConfigurationError, Invalid
from storage import providers, unconfirmed
from storage.database import Connection, Database
from storage.sealing import Seal
from storage.unconfirmed import Unsettled

# A provider finds a message only once it has indexed it: what it does not find earlier says nothing.
INDEXED_AFTER = timedelta(minutes=1)
_FIRST_WAIT_S = 60.0
_LONGEST_WAIT_S = 3600.0
_MOST = 100

_log = structlog.get_logger()


@dataclass(frozen=True)
class Found:
    """A provider has the message, by its own id `ref` where it gives one."""

    provider: str
    ref: str | None


class Asking:
    """Asks about each unconfirmed message after one minute and then ever more rarely. "Not found" proves nothing and leaves it as it is.

    A pass looks at the next hundred, so that many of which nobody knows anything keep nobody from being asked about the others.
    """

    def __init__(self, database: Database, seal: Seal, around: Surroundings, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._seal = seal
        self._around = around
        self._clock = clock
        self._asked: dict[UUID, tuple[float, float]] = {}
        self._met: set[UUID] = set()
        self._behind: UUID | None = None

    async def ask(self) -> int:
        """Ask about those that are due; return how many went out after all. Raises Unavailable."""
        async with self._database.transaction() as connection:
            rows = await unconfirmed.to_ask(connection, after=INDEXED_AFTER, behind=self._behind, most=_MOST)
        self._pass_by(rows)
        due = [row for row in rows if row.id not in self._asked or self._asked[row.id][0] <= self._clock()]
        found = 0
        for app in sorted({row.app for row in due}):
            found += await self._ask_for(app, [row for row in due if row.app == app])
        return found

    def _pass_by(self, rows: Sequence[Unsettled]) -> None:
        """At the end of a round what was not met in it is over, and forgotten."""
        self._met.update(row.id for row in rows)
        self._behind = rows[-1].id if len(rows) == _MOST else None
        if self._behind is None:
            self._asked = {number: asked for number, asked in self._asked.items() if number in self._met}
            self._met.clear()

    async def _ask_for(self, app: str, rows: Sequence[Unsettled]) -> int:
        async with AsyncExitStack() as stack:
            adapters = await self._adapters(app, {row.channel for row in rows}, stack)
            answers = [(row, await self._find(row, [each for each in adapters if _may_have_had(each, row)])) for row in rows]
        out = [(row, found) for row, found in answers if found is not None]
        for row, found in out:
            await self._database.run(partial(_confirm, row=row, found=found))
        return len(out)

    async def _adapters(self, app: str, channels: set[str], stack: AsyncExitStack) -> list[Adapter]:
        async with self._database.transaction() as connection:
            accounts = [row for row in await providers.of_app(connection, app) if row.channel in channels]
        made: list[Adapter] = []
        for row in accounts:
            kind = KINDS.get((row.channel, row.provider))
            if kind is None or not hasattr(kind.make, "find"):
                continue
            try:
                adapter = adapter_of(kind, row.provider, providers.opened(row, app, self._seal), self._around, inbound_key=row.inbound_key)
            except (Invalid, ConfigurationError):
                continue
            stack.push_async_callback(adapter.close)
            made.append(adapter)
        return made

    async def _find(self, row: Unsettled, adapters: Iterable[Adapter]) -> Found | None:
        """None where nobody found it."""
        wait_s = min(self._asked.get(row.id, (0.0, _FIRST_WAIT_S / 2))[1] * 2, _LONGEST_WAIT_S)
        self._asked[row.id] = (self._clock() + wait_s, wait_s)
        for adapter in adapters:
            if isinstance(adapter, Findable):
                try:
                    receipt = await adapter.find(Sought(row.id, row.address, row.claimed_at))
                except SendFailed as error:
                    _log.info("provider_not_asked", app=row.app, provider=adapter.name, message_id=str(row.id), reason=error.answer)
                    continue
                if receipt is not None:
                    return Found(adapter.name, receipt.ref)
        return None


def _may_have_had(adapter: Adapter, row: Unsettled) -> bool:
    return adapter.channel == row.channel and row.provider in {None, adapter.name}


async def _confirm(connection: Connection, row: Unsettled, found: Found) -> bool:
    return await unconfirmed.confirm(connection, row.app, row.id, provider=found.provider, ref=found.ref)
