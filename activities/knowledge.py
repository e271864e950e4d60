"""What is known of somebody where their journey stands, read as far as some expressions ask for it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from journeys.language.conditions import Device, LastDid
from journeys.language.facts import EndpointFact, EventFact, Facts
from journeys.language.walk import nodes_in
from storage import knowing
from storage.database import Connection
from storage.enrollments import Enrollment
from storage.standing import Person


async def facts_for(
    connection: Connection, enrollment: Enrollment, person: Person, captured: Mapping[str, EventFact], asked: Any, at: datetime
) -> Facts:
    """What the expressions in `asked` (a node or a tuple of nodes) can read of this enrollment, as of a moment."""
    nodes = tuple(nodes_in(asked))
    names = sorted({node.event for node in nodes if isinstance(node, LastDid)})
    did = await knowing.last_did(connection, enrollment.app, person.id, names, at) if names else {}
    device = await knowing.device(connection, enrollment.app, person.id) if any(isinstance(node, Device) for node in nodes) else None
    return Facts(
        attributes=person.attributes,
        timezone=person.timezone,
        endpoints=() if device is None else (EndpointFact("push", at, device),),
        events=tuple(EventFact(name, name, occurred_at) for name, occurred_at in did.items()),
        entry=enrollment.entry,
        entered_at=enrollment.entry.occurred_at,
        captured=captured,
        source=str(enrollment.id),
    )
