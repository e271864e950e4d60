"""An app with segments that a journey listens to, people who do things, and the lane that tells who came in or went out."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import text

from activities.entering import EnteringLane, Pace
from journeys.language import Journey, Send, email, event, prop
from journeys.language.codec import condition_hash, condition_to_json, content_hash, to_json
from journeys.language.conditions import ConditionNode
from journeys.language.segments import mentions
from storage import journeys, segments
from storage.database import Connection, Database
from storage.enrollments import database_now
from storage.events import Accepted, Address, Incoming, accept

APP = "demo"


@dataclass
class Crowd:
    """Who does what, and what the lane makes of it. `woken` counts how often the relay was woken."""

    database: Database
    ahead: timedelta = timedelta(0)
    """How far the lane's clock is ahead of the database's: the time that passed."""
    woken: list[str] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def lane(self) -> EnteringLane:
        return EnteringLane(self.database, self.woken.append, Pace(people=2), now=self.now)

    async def now(self, connection: Connection) -> datetime:
        return await database_now(connection) + self.ahead

    async def publish(self, name: str, condition: ConditionNode) -> None:
        meant: Any = condition
        async with self.database.transaction() as connection:
            written = condition_to_json(meant).decode()
            await segments.publish(connection, APP, name, written, condition_hash(meant), mentions(meant))

    async def listen(self, *names: str) -> None:
        """Let a journey listen to these segments, and read them for the first time."""
        for name in names:
            await self.start(Journey(f"on-{name}", starts_on=event("segment_entered").where(prop("segment") == name), steps=[HELLO]))
        await self.settle()

    async def start(self, journey: Journey) -> None:
        async with self.database.transaction() as connection:
            await journeys.publish(
                connection,
                APP,
                name=journey.name,
                definition=to_json(journey).decode(),
                content_hash=content_hash(journey),
                entry_names=journey.entry_names,
                listen_names=journey.listen_names,
            )

    async def settle(self) -> None:
        """Let the lane do all there is."""
        for _ in range(3):
            while await self.lane.pass_once():
                continue

    async def does(self, user: str | None, name: str | None = None, *, is_history: bool = False, **fields: Any) -> list[Accepted]:
        item = {"event_id": f"event {next(self.numbers)}", "occurred_at": datetime.now(UTC), "user_id": user, **fields}
        async with self.database.transaction() as connection:
            return await accept(connection, APP, [Incoming(name=name, **item)], received_at=datetime.now(UTC), is_history=is_history)

    async def is_like(self, user: str, **traits: Any) -> None:
        await self.does(user, traits=traits)

    async def has_address(self, user: str, channel: str = "email", address: str = "ann@example.com") -> None:
        await self.does(user, addresses=(Address(channel, address),))

    async def execute(self, statement: str, **values: Any) -> list[Any]:
        async with self.database.transaction() as connection:
            result = await connection.execute(text(statement), values)
            return list(result.all()) if result.returns_rows else []

    async def members(self, segment: str) -> list[str]:
        rows = await self.execute(
            "SELECT u.user_id FROM segment_members m JOIN users u ON u.app = m.app AND u.id = m.user_id"
            " WHERE m.app = 'demo' AND m.segment = :segment ORDER BY 1",
            segment=segment,
        )
        return [row.user_id for row in rows]

    async def told(self) -> list[tuple[str, str, str]]:
        """(user, what, segment) of every coming and going that was told, in order."""
        rows = await self.execute(
            "SELECT i.user_id, e.name, e.properties ->> 'segment' AS segment"
            " FROM events e JOIN users u ON u.app = e.app AND u.id = e.user_id"
            " JOIN users i ON i.app = u.app AND i.id = coalesce(u.merged_into, u.id)"
            " WHERE e.app = 'demo' AND e.name IN ('segment_entered', 'segment_left') ORDER BY e.seq"
        )
        return [(row.user_id, row.name.removeprefix("segment_"), row.segment) for row in rows]


HELLO = Send("hello", email("hello"))
