"""A small town for tests of the ledger: one app, a person with addresses, an enrollment, and hands to deliver with."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import text

from activities.breaker import Bounds, Gates
from activities.exits import LeavingOrder
from activities.messages import Delivery, Messages
from activities.orders import SendOrder
from activities.sending import Timing
from journeys.language.conditions import AnyCondition
from journeys.language.facts import EventFact
from storage import consents, suppressions
from storage.consents import ConsentRecord
from storage.database import Connection, Database
from storage.ids import address_hash
from tests.activities.provider import PlainRenderer, Provider

APP = "demo"
NO_WAIT = Timing(endpoint_wait=timedelta(0))


async def no_condition_holds(_c: Connection, _o: LeavingOrder, _u: int, _n: Sequence[AnyCondition], _at: datetime) -> bool:
    return False


@dataclass
class Town:
    database: Database
    user_id: int = 0
    provider: Provider = field(default_factory=Provider)
    renderer: PlainRenderer = field(default_factory=PlainRenderer)
    allowed: frozenset[str] | None = None
    timing: Timing = NO_WAIT
    bounds: Bounds = field(default_factory=lambda: Bounds(failures=1_000))

    def hands(self) -> Messages:
        """A fresh process: nothing is remembered but what Postgres knows."""
        return Messages(self.database, self.delivery(), no_condition_holds)

    def delivery(self) -> Delivery:
        adapters = {channel: replace_channel(self.provider, channel) for channel in ("email", "sms", "push", "whatsapp", "voice")}
        return Delivery(
            adapters=adapters,
            renderer=self.renderer,
            unsubscribe_url=lambda app, user, endpoint, topic: f"https://u/{app}/{user}/{endpoint}/{topic}",
            allowed_recipients=self.allowed,
            timing=self.timing,
            gates=Gates(self.bounds),
        )

    async def run(self, statement: str, **values: Any) -> list[Any]:
        async with self.database.transaction() as connection:
            done = await connection.execute(text(statement), values)
            return list(done.all()) if done.returns_rows else []

    async def rows(self) -> list[Any]:
        return await self.run("SELECT * FROM messages WHERE app = 'demo' ORDER BY planned_at, id")

    async def states(self) -> list[tuple[str, str | None]]:
        return [(row.state, row.reason) for row in await self.rows()]

    async def listed(self) -> list[str]:
        return [row.kind for row in await self.run("SELECT kind FROM open_messages ORDER BY kind")]

    async def endpoint(self, channel: str = "email", address: str = "ann@example.com", *, age_s: int = 60, state: str = "active") -> int:
        found = await self.run(
            "INSERT INTO endpoints (app, user_id, channel, address, address_hash, state, confirmed_at)"
            " VALUES ('demo', :user, :channel, :address, :hash, :state, clock_timestamp() - make_interval(secs => :age)) RETURNING id",
            user=self.user_id,
            channel=channel,
            address=address,
            hash=address_hash(APP, channel, address),
            state=state,
            age=age_s,
        )
        return int(found[0].id)

    async def suppress(self, address: str, channel: str = "email") -> None:
        async with self.database.transaction() as connection:
            digest = address_hash(APP, channel, address)
            await suppressions.suppress(connection, APP, channel, digest, reason="manual", source="test")

    async def say(self, state: Literal["granted", "withdrawn"], *, channel: str = "email", topic: str = "*") -> None:
        async with self.database.transaction() as connection:
            await consents.record(connection, APP, self.user_id, ConsentRecord(channel, topic, state, "test"))

    async def event(self, name: str, *, event_id: str | None = None, ago_s: float = 0, is_history: bool = False, **properties: Any) -> None:
        await self.run(
            "INSERT INTO events (app, received_at, user_id, event_id, name, properties, occurred_at, is_history) VALUES ('demo',"
            " clock_timestamp(), :user, :event, :name, :properties, clock_timestamp() - make_interval(secs => :ago), :history)",
            user=self.user_id,
            event=event_id or uuid4().hex,
            name=name,
            properties=properties,
            ago=ago_s,
            history=is_history,
        )

    async def age_claims(self) -> None:
        """Let the time of every open claim pass."""
        await self.run("UPDATE messages SET claim_until = clock_timestamp() - interval '1 s' WHERE state = 'claimed'")
        await self.run("UPDATE open_messages SET due_at = clock_timestamp() - interval '1 s' WHERE kind = 'claimed'")

    async def age_unknowns(self, by: timedelta = timedelta(minutes=3)) -> None:
        await self.run("UPDATE messages SET settled_at = settled_at - CAST(:by AS interval) WHERE state = 'unknown'", by=by)
        await self.run("UPDATE open_messages SET due_at = due_at - CAST(:by AS interval) WHERE kind = 'unknown'", by=by)


def replace_channel(provider: Provider, channel: str) -> Provider:
    """The same script and record behind another channel: `replace` shares them."""
    return replace(provider, channel=channel)


async def build(database: Database) -> Town:
    town = Town(database)
    made = await town.run("INSERT INTO users (app, user_id, attributes) VALUES ('demo', 'ann', :a) RETURNING id", a={"plan": "gold"})
    town.user_id = int(made[0].id)
    await town.run(
        "WITH t AS (INSERT INTO templates (app, name, live_version) VALUES ('demo', 'welcome', 1))"
        " INSERT INTO template_versions (app, template, version, hash, files) VALUES ('demo', 'welcome', 1, 'h', '{}')"
    )
    await town.run(
        "WITH j AS (INSERT INTO journeys (app, name, live_version) VALUES ('demo', 'onboarding', 1))"
        " INSERT INTO journey_versions (app, journey, version, hash, definition, entry_names, listen_names)"
        " VALUES ('demo', 'onboarding', 1, 'h', '{}', '{}', '{}')"
    )
    return town


ENTRY = EventFact("e-1", "signed_up", datetime(2026, 1, 1, tzinfo=UTC), {"plan": "gold"})


async def enroll(town: Town, *, key: str = "", entry: EventFact = ENTRY) -> UUID:
    """An open enrollment of the town's person; it began now."""
    number = uuid4()
    await town.run(
        "INSERT INTO enrollments (app, id, user_id, subject, journey, version, key, n, workflow_id, entry_event_id, entry_name,"
        " entry_properties, entered_at, state) VALUES ('demo', :id, :user, 'ann', 'onboarding', 1, :key, 1, :workflow, :event, :name,"
        " :properties, clock_timestamp() - interval '1 hour', 'open')",
        id=number,
        user=town.user_id,
        key=key,
        workflow=str(number),
        event=f"{entry.id}{key}",
        name=entry.name,
        properties=dict(entry.properties),
    )
    return number


def order_of(enrollment_id: UUID, **changes: Any) -> SendOrder:
    order = SendOrder(
        app=APP,
        enrollment_id=str(enrollment_id),
        journey="onboarding",
        step="welcome",
        visit=1,
        channel="email",
        template="welcome",
        message_class="marketing",
        entry=ENTRY,
    )
    return replace(order, **changes)
