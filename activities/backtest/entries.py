"""Who would have entered when: entry events as they came, or the moments at which a condition began to hold."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from activities.backtest.setting import Setting
from activities.backtest.turning import BEFORE_ALL, JUST_AFTER
from activities.backtest.world import Person
from journeys.language.entries import SegmentEntry
from journeys.language.evaluate import holds, matches
from journeys.language.facts import EventFact, Facts


def entries(setting: Setting, person: Person) -> Iterator[EventFact]:
    """The events that would have started the journey within the time played, in the order in which they became known."""
    if setting.asked.entering is not None:
        yield from _turnings(setting, person)
        return
    ways_in = setting.journey.entry_events
    names = setting.journey.entry_names
    for event in person.events:
        known_at = event.received_at or event.occurred_at
        if ways_in is not None and event.name in names and _is_played(setting, known_at) and matches(ways_in, event, Facts()):
            yield event


def _turnings(setting: Setting, person: Person) -> Iterator[EventFact]:
    """Each moment at which the condition begins to hold; who meets it already when the time begins does not enter."""
    condition, turning = setting.asked.entering, setting.turning
    assert condition is not None
    assert turning is not None
    past = person.past
    facts = Facts(attributes=person.attributes, timezone=past.timezone, events=person.events, app=setting.asked.app, subject=past.subject)
    moments = [each for each in turning.moments(facts) if _is_played(setting, each)]
    before = setting.asked.since - JUST_AFTER if setting.asked.since else BEFORE_ALL
    truth = [(moment, holds(condition, facts, moment)) for moment in (before, *moments)]
    for (_, held), (moment, is_true) in pairwise(truth):
        if is_true and not held:
            yield _entry(setting, person, moment)


def _is_played(setting: Setting, moment: datetime) -> bool:
    since = setting.asked.since
    return (since is None or since <= moment) and moment < setting.asked.until


def _entry(setting: Setting, person: Person, moment: datetime) -> EventFact:
    way_in = setting.journey.starts_on
    name, properties = ("segment_entered", {"segment": way_in.segment}) if isinstance(way_in, SegmentEntry) else ("requested", {})
    return EventFact(f"{name} {person.past.id} {moment.isoformat()}", name, moment, properties, 0, moment)
