"""Which of a person's events are handed over to an enrollment that starts, or that begins to listen to other events."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from journeys.language.facts import EventFact, Facts
from journeys.language.journey import Journey
from journeys.language.keys import counts
from journeys.language.play import KEPT, LATE_CLOCKS


def since_when(entry: EventFact) -> datetime:
    """From when on events may count for an enrollment: some phones' clocks run late."""
    return entry.occurred_at - LATE_CLOCKS


def handed_over(journey: Journey, entry: EventFact, came: Sequence[EventFact]) -> list[EventFact]:
    """The first event that ends it, and of each name as many as an enrollment keeps and one more, which tells that there are others.

    They are reduced to what the journey reads. `came` are the person's from `since_when` on, the earliest first.
    """
    handed: list[EventFact] = []
    of_name: Counter[str] = Counter()
    has_ended = False
    for event in came:
        ends = not has_ended and is_exit(journey, entry, event)
        if event.id != entry.id and _is_after(entry, event) and (ends or of_name[event.name] <= KEPT):
            of_name[event.name] += 1
            has_ended = has_ended or ends
            handed.append(journey.reduced(event))
    return handed


def _is_after(entry: EventFact, event: EventFact) -> bool:
    """It occurred since entry, or came since then with a clock that runs late."""
    return event.occurred_at >= entry.occurred_at or (event.received_at is not None and event.received_at >= entry.occurred_at)


def is_exit(journey: Journey, entry: EventFact, event: EventFact) -> bool:
    """Whether the event ends an enrollment that began with `entry`."""
    exits = journey.exit_events
    if exits is None or event.occurred_at < entry.occurred_at:
        return False
    return counts(journey.key, exits, event, Facts(entry=entry, entered_at=entry.occurred_at))
