"""Update and Enter: each is one transaction with its verdict, so that what is done again after a lost result changes nothing."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
from temporalio import activity

from activities.errands import EnterOrder, UpdateOrder
from activities.knowledge import facts_for
from journeys.language.resolving import changes, naming, object_of
from storage import enrollments, outbox, outcomes, standing, users
from storage.attributes import COLUMN_KEYS, changed
from storage.database import Connection, Database
from storage.outbox import EntryRequest
from storage.users import Change


class Changes:
    """What a journey changes by itself: a person's attributes, and who is in other journeys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="update")
    async def update(self, order: UpdateOrder) -> None:
        """Set attributes, as of now by the database's clock: what the person says later wins, what they said before does not."""
        await self._database.run(partial(_update, order))

    @activity.defn(name="enter")
    async def enter(self, order: EnterOrder) -> None:
        """Ask the relay that the person enters; it decides as for an entry event."""
        await self._database.run(partial(_enter, order))

    def activities(self) -> list[Callable[..., Any]]:
        return [self.update, self.enter]


async def _update(order: UpdateOrder, connection: Connection) -> None:
    # The lock comes first: of two tries at once the second sees the verdict of the first.
    enrolled = await standing.lock_enrolled(connection, order.app, order.enrollment_id)
    if enrolled is None or await _is_over(connection, order):
        return
    person, now = enrolled.person, await enrollments.database_now(connection)
    enrollment = await enrollments.get(connection, order.app, order.enrollment_id)
    facts = naming(await facts_for(connection, enrollment, person, order.captured, order.attributes, now), person.user_id)
    values = _storable({key: value for key, value in changes(order.attributes, facts, now).items() if key not in COLUMN_KEYS})
    profiles = await users.lock_users(connection, order.app, {person.id: person.user_id is not None}, profiles_of=[person.id])
    profile = changed(profiles[person.id], values, now, f"{order.enrollment_id}/{order.step}/{order.visit}")
    await users.store(connection, order.app, {person.id: Change(profile)})
    await _conclude(connection, order, {"kind": "updated", "attributes": sorted(values)})


async def _enter(order: EnterOrder, connection: Connection) -> None:
    enrolled = await standing.lock_enrolled(connection, order.app, order.enrollment_id)
    if enrolled is None or await _is_over(connection, order):
        return
    person, now = enrolled.person, await enrollments.database_now(connection)
    enrollment = await enrollments.get(connection, order.app, order.enrollment_id)
    facts = naming(await facts_for(connection, enrollment, person, order.captured, order.properties, now), person.user_id)
    request = EntryRequest(
        order.journey, f"{order.enrollment_id}/{order.step}/{order.visit}", now, _storable(object_of(order.properties, facts, now))
    )
    await outbox.ask(connection, order.app, person.id, request)
    await _conclude(connection, order, {"kind": "asked_to_enter", "journey": order.journey, "request": request.id})


async def _is_over(connection: Connection, order: UpdateOrder | EnterOrder) -> bool:
    """Done before; or the enrollment has ended, of which the workflow has still to hear: then nothing is changed any more."""
    if await outcomes.stored(connection, order.app, order.enrollment_id, order.step, order.visit) is not None:
        return True
    enrollment = await enrollments.get(connection, order.app, order.enrollment_id)
    if enrollment.state == "closed":
        await _conclude(connection, order, {"kind": "exited"})
        return True
    return False


async def _conclude(connection: Connection, order: UpdateOrder | EnterOrder, verdict: Mapping[str, Any]) -> None:
    await outcomes.write(connection, order.app, order.enrollment_id, order.step, order.visit, dict(verdict))


def _storable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what jsonb cannot hold: no definition that got in otherwise may stop people for ever."""
    return {key: value for key, value in values.items() if b"\\u0000" not in orjson.dumps([key, value])}
