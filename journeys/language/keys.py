"""The key of a journey: one open enrollment per (user, key), and only events of the same key count."""

import json

from journeys.language.conditions import Prop
from journeys.language.evaluate import matches, value
from journeys.language.events import Events
from journeys.language.facts import EventFact, Facts
from journeys.language.reading import number


def key_of(key: Prop | None, event: EventFact) -> str | None:
    """The event's key as text; "" where the journey has none, None where the event lacks it. A number and its text differ."""
    if key is None:
        return ""
    found = value(key, Facts(), event.occurred_at, event=event)
    if found is None or found == "":
        return None
    if isinstance(found, str):
        return found
    exact = number(found)
    # 7 and 7.0 are one number, so they are one key.
    return f"={json.dumps(found, sort_keys=True) if exact is None else f'{exact.normalize() + 0:f}'}"


def counts(key: Prop | None, events: Events, event: EventFact, facts: Facts) -> bool:
    """Tell whether this is one of the events meant: its name, its key (that of `facts.entry`, unless any_key), and what `.where` asks."""
    meant = [each for each in events.any_of if each.name == event.name and (each.any_key or _has_same_key(key, event, facts))]
    return bool(meant) and matches(Events(meant), event, facts)


def _has_same_key(key: Prop | None, event: EventFact, facts: Facts) -> bool:
    return key is None or (facts.entry is not None and key_of(key, event) == key_of(key, facts.entry))
