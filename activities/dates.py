"""The lane of journeys that start on date(...): it follows people's dates, and lets in those whose moment has come."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import monotonic

from activities.rounds import rounds
from storage import due_dates, outbox
from storage.database import Connection, Database
from storage.due_dates import Reached
from storage.outbox import EntryRequest

EVERY_S = 1.0
PER_SECOND = 20
"""More at once would stand before everybody's events, and Temporal starts 40 to 66 journeys a second on two cores."""
DATE = "date"


class DateLane:
    """One process's lane. Only one of all is at it at a time, each piece is one transaction, and the same moment lets nobody in twice."""

    def __init__(self, database: Database, *, per_second: int = PER_SECOND) -> None:
        self._database = database
        self._at_once = max(1, round(per_second * EVERY_S))

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        await rounds(self.look, EVERY_S, "dates wait for the database")

    async def look(self) -> None:
        """One round: what was published, who changed, and whose moment has come: it does not wait until a million people are read."""
        await self._alone(_noted)
        lets_in_at = monotonic() + EVERY_S
        for piece in (due_dates.fill, due_dates.read_changed):
            while await self._alone(piece):
                if monotonic() >= lets_in_at:
                    await self._alone(self._let_in)
                    lets_in_at = monotonic() + EVERY_S
        await self._alone(self._let_in)

    async def _alone(self, piece: Callable[[Connection], Awaitable[bool]]) -> bool:
        async with self._database.transaction() as connection:
            return await due_dates.only_one(connection) and await piece(connection)

    async def _let_in(self, connection: Connection) -> bool:
        reached, now = await due_dates.take(connection, self._at_once)
        requests: defaultdict[str, list[tuple[int, EntryRequest]]] = defaultdict(list)
        for each in reached:
            requests[each.app].append((each.user_id, _request(each, now)))
        for app, asked in sorted(requests.items()):
            await outbox.ask_all(connection, app, asked)
        return bool(reached)


async def _noted(connection: Connection) -> bool:
    await due_dates.wait_for_others(connection)
    return True


def _request(reached: Reached, now: datetime) -> EntryRequest:
    """One person's moment is one id: asked again it changes nothing. How late it is counts from now, as it does for events."""
    moment = reached.due_at.isoformat()
    name = f"${DATE}/{reached.journey}/{reached.user_id}/{moment}"
    return EntryRequest(reached.journey, name, reached.due_at, {"moment": moment}, DATE, now)
