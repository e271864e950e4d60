"""The ways into and out of a journey, sorted by what they are: events that can be matched, conditions that must be read."""

from journeys.language.conditions import Condition, Or
from journeys.language.events import Events, Exits
from journeys.language.journey import Journey


def entry_events(journey: Journey) -> Events | None:
    """The events that start it, or None where something else does."""
    return journey.starts_on if isinstance(journey.starts_on, Events) else None


def exit_events(journey: Journey) -> Events | None:
    """All events that end it."""
    found = [way for way in _ways_out(journey) if isinstance(way, Events)]
    return Events([each for events in found for each in events.any_of]) if found else None


def exit_condition(journey: Journey) -> Condition | None:
    """The conditions that end it, joined by `|`."""
    found = [way for way in _ways_out(journey) if not isinstance(way, Events)]
    return None if not found else found[0] if len(found) == 1 else Or(found)


def _ways_out(journey: Journey) -> tuple[Events | Condition, ...]:
    if journey.exits_on is None:
        return ()
    return tuple(journey.exits_on.any_of) if isinstance(journey.exits_on, Exits) else (journey.exits_on,)
