"""A town whose app has several accounts, each with a scripted provider, and workers that share Postgres and nothing else."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from activities.accounts import Opened
from activities.breaker import Bounds, Gates
from activities.direct import DirectLane
from activities.messages import Delivery, Messages
from activities.traffic import Traffic
from channels.base import Adapter
from storage.direct_sends import DirectSend, plan_direct
from storage.providers import Account
from storage.providers import Traffic as Share
from tests.activities.provider import Provider
from tests.activities.town import APP, Town, no_condition_holds


@dataclass
class FixedAccounts:
    """What activities.accounts.Accounts answers, without a row and a seal."""

    opened: list[Opened]

    async def of(self, app: str, channel: str) -> tuple[Opened, ...]:
        assert app == APP
        return tuple(each for each in self.opened if each.account.channel == channel)


@dataclass
class Several:
    town: Town
    bounds: Bounds = field(default_factory=lambda: Bounds(failures=1_000))
    opened: list[Opened] = field(default_factory=list)

    def account(self, name: str, *script: str, channel: str = "email", **share: Any) -> Provider:
        """An account whose provider answers by the script, the last word for ever."""
        provider = Provider(list(script or ("ok",)), name=f"{name}-provider", channel=channel)
        self.adapter(name, provider, **share)
        return provider

    def adapter(self, name: str, adapter: Adapter, **share: Any) -> None:
        row = Account(adapter.channel, name, adapter.name, Share(**share), {}, (), datetime.now(UTC))
        self.opened.append(Opened(row, adapter, f"{adapter.name}:{name}"))

    def delivery(self) -> Delivery:
        """A fresh worker: it knows of the accounts' trouble what Postgres knows."""
        found = FixedAccounts(self.opened)
        return replace(self.town.delivery(), accounts=found, traffic=Traffic(self.town.database), gates=Gates(self.bounds))  # type: ignore[arg-type]

    def hands(self) -> Messages:
        return Messages(self.town.database, self.delivery(), no_condition_holds)

    def lane(self) -> DirectLane:
        return DirectLane(self.town.database, self.delivery(), asyncio.Event())

    async def ask(self, number: int = 1, message_class: str = "transactional", address: str | None = None) -> None:
        """Plan one direct message to an address of its own."""
        send = DirectSend(
            APP,
            f"r-{number}",
            "email",
            message_class,
            {"parts": {"subject": "Hi", "text": "Ho"}},
            None,
            address or f"p{number}@example.com",
        )
        async with self.town.database.transaction(APP) as connection:
            await plan_direct(connection, send)

    async def accounts_of(self) -> list[tuple[str, str | None, str | None]]:
        """(state, provider, account) of every message."""
        return [(row.state, row.provider, row.account) for row in await self.town.rows()]

    async def make_due(self) -> None:
        await self.town.run("UPDATE open_messages SET due_at = clock_timestamp() WHERE kind = 'direct'")
