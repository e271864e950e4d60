"""Through which account a message leaves: the app's own for that channel, else what the installation is set to."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from channels.accounts import Surroundings, adapter_of
from channels.base import Adapter, NotSent, Outgoing, Receipt
from channels.push.by_device import ByDevice
from channels.registry import KINDS
from journeys.language.errors import ConfigurationError, Invalid
from storage import providers
from storage.database import Database
from storage.endpoints import PUSH
from storage.providers import Account
from storage.sealing import Seal

# How long a change of accounts may take to be heard by every worker.
REMEMBERED_S = 5.0
# Longer than a claim: what is being sent through an account that was changed still ends.
CLOSED_AFTER_S = 60.0
_Key = tuple[str, str]


class Unusable:
    """An account that cannot be opened or read. Nothing leaves through it and nothing is lost: it is as a provider that is away."""

    def __init__(self, channel: str, provider: str, why: str) -> None:
        self.channel = channel
        self.name = provider
        self._why = why

    async def send(self, outgoing: Outgoing) -> Receipt:  # noqa: ARG002 - nothing of it leaves
        raise NotSent(f"this account cannot be used: {self._why}")

    async def close(self) -> None:
        """Nothing is held open."""


@dataclass(frozen=True)
class Chosen:
    """The adapter of an account, and the name under which its provider's trouble is remembered."""

    adapter: Adapter
    gate: str
    updated_at: datetime


class Accounts:
    """The accounts of every app of one process, read from Postgres at most every five seconds."""

    def __init__(self, database: Database, seal: Seal, around: Surroundings, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._seal = seal
        self._around = around
        self._clock = clock
        self._of_app: dict[str, tuple[float, Mapping[_Key, Chosen]]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def of(self, app: str, channel: str) -> Chosen | None:
        """The account with the lowest place, for push one that reaches each device; None where the app has none. Raises Unavailable."""
        read_at, chosen = self._of_app.get(app, (float("-inf"), {}))
        if self._clock() - read_at >= REMEMBERED_S:
            chosen = await self._read(app, chosen)
            self._of_app[app] = (self._clock(), chosen)
        return _by_device(app, chosen) if channel == PUSH else chosen.get((channel, ""))

    async def close(self) -> None:
        for task in self._leaving:
            task.cancel()
        for _, chosen in self._of_app.values():
            for each in chosen.values():
                await each.adapter.close()

    async def _read(self, app: str, before: Mapping[_Key, Chosen]) -> Mapping[_Key, Chosen]:
        async with self._database.transaction() as connection:
            rows = await providers.of_app(connection, app)
        first: dict[_Key, Account] = {}
        for row in rows:
            first.setdefault(_key(row), row)
        now = {key: self._same(before.get(key), app, row) or self._made(app, row) for key, row in first.items()}
        for key, old in before.items():
            if now.get(key) is not old:
                self._close_later(old.adapter)
        return now

    def _same(self, before: Chosen | None, app: str, row: Account) -> Chosen | None:
        return before if before and (before.gate, before.updated_at) == (_gate(app, row), row.updated_at) else None

    def _made(self, app: str, row: Account) -> Chosen:
        return Chosen(self._adapter(app, row), _gate(app, row), row.updated_at)

    def _adapter(self, app: str, row: Account) -> Adapter:
        kind = KINDS.get((row.channel, row.provider))
        if kind is None:
            return Unusable(row.channel, row.provider, "this version knows no such provider")
        try:
            return adapter_of(kind, row.provider, providers.opened(row, app, self._seal), self._around, inbound_key=row.inbound_key)
        except (Invalid, ConfigurationError) as error:
            return Unusable(row.channel, row.provider, str(error))

    def _close_later(self, adapter: Adapter) -> None:
        async def close() -> None:
            await asyncio.sleep(CLOSED_AFTER_S)
            await adapter.close()

        task = asyncio.ensure_future(close())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def _key(row: Account) -> _Key:
    """Of push the first account of each provider is used, of other channels the first."""
    return row.channel, row.provider if row.channel == PUSH else ""


def _by_device(app: str, chosen: Mapping[_Key, Chosen]) -> Chosen | None:
    found = {provider: each for (channel, provider), each in chosen.items() if channel == PUSH}
    if not found:
        return None
    adapter = ByDevice({provider: each.adapter for provider, each in found.items()})
    return Chosen(adapter, f"push:{app}", max(each.updated_at for each in found.values()))


def _gate(app: str, row: Account) -> str:
    return f"{row.provider}:{app}/{row.channel}/{row.name}"
