"""What is known of somebody where their journey stands, read as far as some expressions ask for it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from activities.zones import Located, known_zone, locate
from journeys.language.best_hours import BestHours, of_everybody, of_person
from journeys.language.conditions import Device, LastDid
from journeys.language.durations import BestTime
from journeys.language.facts import EndpointFact, EventFact, Facts
from journeys.language.walk import nodes_in
from storage import apps, best_hours, knowing
from storage.database import Connection
from storage.enrollments import Enrollment
from storage.standing import Person

_LOOKED_BACK = timedelta(days=180)


async def facts_for(
    connection: Connection, enrollment: Enrollment, person: Person, captured: Mapping[str, EventFact], asked: Any, at: datetime
) -> Facts:
    """What the expressions in `asked` (a node or a tuple of nodes) can read of this enrollment, as of a moment."""
    nodes = tuple(nodes_in(asked))
    names = sorted({node.event for node in nodes if isinstance(node, LastDid)})
    did = await knowing.last_did(connection, enrollment.app, person.id, names, at) if names else {}
    device = await knowing.device(connection, enrollment.app, person.id) if any(isinstance(node, Device) for node in nodes) else None
    located = await located_in(connection, enrollment.app, person)
    asks_for_best = any(isinstance(node, BestTime) for node in nodes)
    return Facts(
        attributes=person.attributes,
        timezone=None if located.zone_by == "nothing" else located.zone.key,
        endpoints=() if device is None else (EndpointFact("push", at, device),),
        events=tuple(EventFact(name, name, occurred_at) for name, occurred_at in did.items()),
        entry=enrollment.entry,
        entered_at=enrollment.entry.occurred_at,
        captured=captured,
        source=str(enrollment.id),
        best_hours=await _best_hours(connection, enrollment.app, person.id, located.zone, at) if asks_for_best else None,
    )


async def located_in(connection: Connection, app: str, person: Person) -> Located:
    """Where somebody is taken to be; more is read only of who has no zone of their own."""
    if person.timezone and known_zone(person.timezone):
        return locate(person.timezone, None, person.attributes, {})
    phone = await knowing.phone(connection, app, person.id)
    return locate(None, phone, person.attributes, await apps.settings(connection, app))


async def _best_hours(connection: Connection, app: str, user_id: int, zone: ZoneInfo, at: datetime) -> BestHours | None:
    own = of_person(await best_hours.read_at(connection, app, user_id, at - _LOOKED_BACK), at, zone)
    return own or of_everybody(await best_hours.of_everybody(connection, app))
