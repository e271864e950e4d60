"""Ending wins over sending: whether an enrollment is over by what is committed now, though no signal has arrived yet."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from activities.orders import WaysOut
from journeys.language.conditions import AnyCondition, Prop
from journeys.language.events import Events, Exits
from journeys.language.facts import EventFact, Facts
from journeys.language.keys import counts
from storage import enrollments
from storage.database import Connection
from storage.standing import Enrolled


class LeavingOrder(Protocol):
    """What is read of an order whose enrollment may be over: of a Send's and of a Call's."""

    @property
    def app(self) -> str: ...
    @property
    def enrollment_id(self) -> str: ...
    @property
    def entry(self) -> EventFact | None: ...
    @property
    def captured(self) -> Mapping[str, EventFact]: ...
    @property
    def exits_on(self) -> WaysOut | None: ...
    @property
    def key(self) -> Prop | None: ...


# (connection, order, user id, conditions, moment): whether one of them holds, read inside the claim's transaction.
ConditionsHold = Callable[[Connection, LeavingOrder, int, Sequence[AnyCondition], datetime], Awaitable[bool]]

# More events of these names since entry than anybody has; it only bounds memory.
_MOST_EVENTS = 100_000


async def has_ended(connection: Connection, order: LeavingOrder, enrolled: Enrolled, hold: ConditionsHold, now: datetime) -> bool:
    """Look for an exit event at or after entry, with the enrollment's key, and for exit conditions. The caller holds the user's row."""
    events, conditions = _parts(order.exits_on)
    if events is not None and await _exit_event_came(connection, order, enrolled, events):
        return True
    return bool(conditions) and await hold(connection, order, enrolled.person.id, conditions, now)


def _parts(ways: WaysOut | None) -> tuple[Events | None, tuple[AnyCondition, ...]]:
    if ways is None:
        return None, ()
    each_way = tuple(ways.any_of) if isinstance(ways, Exits) else (ways,)
    events = [event for way in each_way if isinstance(way, Events) for event in way.any_of]
    return Events(events) if events else None, tuple(way for way in each_way if not isinstance(way, Events))


async def _exit_event_came(connection: Connection, order: LeavingOrder, enrolled: Enrolled, events: Events) -> bool:
    """The event that led in does not lead out."""
    person = enrolled.person
    known = await enrollments.events_since(connection, order.app, person.id, events.names, enrolled.entered_at, _MOST_EVENTS)
    facts = facts_of(order, enrolled)
    return any(counts(order.key, events, event, facts) for event in known if event.id != enrolled.entry_event_id)


def facts_of(order: LeavingOrder, enrolled: Enrolled) -> Facts:
    """What expressions in `.where`, `key` and `to` can read."""
    return Facts(
        attributes=enrolled.person.attributes,
        timezone=enrolled.person.timezone,
        entry=order.entry,
        entered_at=enrolled.entered_at,
        captured=order.captured,
        source=order.enrollment_id,
    )
