"""The accounts of every app as one process uses them: opened once, closed when they are changed or gone."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from channels.accounts import Surroundings, adapter_of
from channels.base import Adapter, NotSent, NotVerifiable, Outgoing, Rated, Receipt, SendFailed
from channels.registry import KINDS
from channels.sandbox import Sandbox
from journeys.language.errors import ConfigurationError, Invalid
from storage import providers
from storage.database import Database
from storage.providers import Account
from storage.sealing import Seal

# How long a change of accounts may take to be heard by every worker.
REMEMBERED_S = 5.0
# Longer than a claim: what is being sent through an account that was changed still ends.
CLOSED_AFTER_S = 60.0
# A quota grows over weeks; a provider that did not answer is asked sooner.
REMEMBERS_RATE_S = 3600.0
ASKS_AGAIN_S = 60.0
_Key = tuple[str, str]
_log = structlog.get_logger()


class Unusable:
    """An account that cannot be opened or read. Nothing leaves through it and nothing is lost: it is as a provider that is away."""

    def __init__(self, channel: str, provider: str, why: str) -> None:
        self.channel = channel
        self.name = provider
        self._why = why

    async def send(self, outgoing: Outgoing) -> Receipt:  # noqa: ARG002 - nothing of it leaves
        raise NotSent(f"this account cannot be used: {self._why}")

    async def verify(self) -> None:
        raise NotSent(f"this account cannot be used: {self._why}")

    async def close(self) -> None:
        """Nothing is held open."""


@dataclass(frozen=True)
class Opened:
    """An account and its adapter. `gate` is the name under which its provider's trouble is remembered."""

    account: Account
    adapter: Adapter
    gate: str


@dataclass(frozen=True)
class Rate:
    """What a provider said of its account, and when it is asked next."""

    per_second: float | None
    ask_at: float


class Accounts:
    """The accounts of every app of one process, read from Postgres at most every five seconds."""

    def __init__(self, database: Database, seal: Seal, around: Surroundings, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._seal = seal
        self._around = around
        self._clock = clock
        self._of_app: dict[str, tuple[float, Mapping[tuple[str, str], Opened]]] = {}
        self._reading: dict[str, asyncio.Lock] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._rates: dict[object, Rate] = {}
        self._asking: set[asyncio.Task[None]] = set()

    async def of(self, app: str, channel: str) -> tuple[Opened, ...]:
        """Every account of the app there, by place; empty where it has none for the channel. Raises Unavailable."""
        async with self._reading.setdefault(app, asyncio.Lock()):
            read_at, opened = self._of_app.get(app, (float("-inf"), {}))
            if self._clock() - read_at >= REMEMBERED_S:
                opened = await self._read(app, opened)
                self._of_app[app] = (self._clock(), opened)
        return tuple(self._at_its_rate(each) for (of, _), each in opened.items() if of == channel)

    async def close(self) -> None:
        for task in (*self._leaving, *self._asking):
            task.cancel()
        for _, opened in self._of_app.values():
            for each in opened.values():
                await each.adapter.close()

    def _at_its_rate(self, opened: Opened) -> Opened:
        """Of an account that names no rate the provider's own, once it has said it. Nobody waits for the answer."""
        if opened.account.traffic.per_second is not None or not isinstance(opened.adapter, Rated):
            return opened
        known = self._rates.get(opened.adapter)
        if known is None or self._clock() >= known.ask_at:
            self._rates[opened.adapter] = Rate(known.per_second if known else None, self._clock() + ASKS_AGAIN_S)
            task = asyncio.ensure_future(self._ask(opened.adapter, opened.gate))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        if known is None or known.per_second is None:
            return opened
        traffic = replace(opened.account.traffic, per_second=known.per_second)
        return replace(opened, account=replace(opened.account, traffic=traffic))

    async def _ask(self, adapter: Rated, gate: str) -> None:
        try:
            per_second = await adapter.per_second()
        except SendFailed as error:
            _log.info("rate_not_told", account=gate, reason=error.answer)
            return
        if adapter in self._rates:
            self._rates[adapter] = Rate(per_second, self._clock() + REMEMBERS_RATE_S)

    async def _read(self, app: str, before: Mapping[tuple[str, str], Opened]) -> Mapping[tuple[str, str], Opened]:
        async with self._database.transaction() as connection:
            rows = await providers.of_app(connection, app)
        now = {(row.channel, row.name): self._same(before.get((row.channel, row.name)), row) or self._made(app, row) for row in rows}
        for key, old in before.items():
            if key not in now or now[key].adapter is not old.adapter:
                self._close_later(old.adapter)
        return now

    def _same(self, before: Opened | None, row: Account) -> Opened | None:
        """What has not changed keeps its connections; a new rate or place needs no new ones."""
        if before is None or _adapters_part(before.account) != _adapters_part(row):
            return None
        return replace(before, account=row)

    def _made(self, app: str, row: Account) -> Opened:
        return Opened(row, opened_adapter(app, row, self._seal, self._around), f"{row.provider}:{app}/{row.channel}/{row.name}")

    def _close_later(self, adapter: Adapter) -> None:
        self._rates.pop(adapter, None)

        async def close() -> None:
            await asyncio.sleep(CLOSED_AFTER_S)
            await adapter.close()

        task = asyncio.ensure_future(close())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def _adapters_part(row: Account) -> tuple[object, ...]:
    return row.provider, row.settings, row.sealed, row.inbound_key


def opened_adapter(app: str, row: Account, seal: Seal, around: Surroundings) -> Adapter:
    """The adapter of an account; one that refuses everything where the account cannot be opened or read."""
    kind = KINDS.get((row.channel, row.provider))
    if kind is None:
        return Unusable(row.channel, row.provider, "this version knows no such provider")
    try:
        return adapter_of(kind, row.provider, providers.opened(row, app, seal), around, inbound_key=row.inbound_key)
    except (Invalid, ConfigurationError) as error:
        return Unusable(row.channel, row.provider, str(error))


@dataclass(frozen=True)
class Verified:
    """What a provider says of an account: `ok`, `refused` (it says no, or nobody answers) or `cannot_be_asked`."""

    verdict: Literal["ok", "refused", "cannot_be_asked"]
    words: str
    remedy: str = ""


async def verified(app: str, row: Account, seal: Seal, around: Surroundings) -> Verified:
    """Ask the account's provider whether it works; nothing is sent."""
    adapter = opened_adapter(app, row, seal, around)
    try:
        await adapter.verify()
    except NotVerifiable as error:
        return Verified("cannot_be_asked", str(error))
    except SendFailed as error:
        remedy = f"Mend it with `sojourn providers set {row.channel} {row.provider} --name {row.name}`, or at the provider."
        return Verified("refused", error.answer, remedy)
    finally:
        await adapter.close()
    return Verified("ok", "nothing leaves: messages are kept" if isinstance(adapter, Sandbox) else f"{row.provider} answers and knows it")
