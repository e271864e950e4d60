"""Counts what would have happened. A tally is nested dicts of whole numbers, so that tallies of many pieces are added up by one rule."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

from activities.backtest.setting import Setting
from activities.backtest.world import Passage, Person
from journeys.language.facts import EventFact, Facts
from journeys.language.keys import counts

Tally: TypeAlias = dict[str, Any]


def add(tally: Tally, *path: str, count: int = 1) -> None:
    """Count at a place of the tree."""
    for name in path[:-1]:
        tally = tally.setdefault(name, {})
    tally[path[-1]] = tally.get(path[-1], 0) + count


def merge(one: Tally, other: Tally) -> Tally:
    """The sum of two tallies."""
    merged = dict(one)
    for name, value in other.items():
        known = merged.get(name)
        merged[name] = value if known is None else merge(known, value) if isinstance(value, dict) else known + value
    return merged


def count_person(tally: Tally, setting: Setting, person: Person, came: Sequence[Passage | str]) -> None:
    """Count one person: passages, and reasons for which entries were refused."""
    add(tally, "people")
    add(tally, "events", count=len(person.events))
    if any(isinstance(each, Passage) for each in came):
        add(tally, "people_entered")
    for each in came:
        if isinstance(each, str):
            add(tally, "refused", each)
        else:
            _count_passage(tally, setting, person, each)


def _count_passage(tally: Tally, setting: Setting, person: Person, passage: Passage) -> None:
    add(tally, "entered")
    add(tally, "entered_on", _day(passage.entry.received_at or passage.entry.occurred_at))
    if passage.is_held_out:
        add(tally, "held_out")
    elif passage.ended is None:
        add(tally, "still_inside")
    else:
        add(tally, "ended", passage.ended)
    for moment, step in passage.sent:
        add(tally, "sent")
        add(tally, "sent_on", _day(moment), step)
        add(tally, "steps", step, "sent")
        add(tally, "minutes", moment.strftime("%Y-%m-%dT%H:%M"))
    for step, reason in passage.skipped:
        add(tally, "skipped")
        add(tally, "steps", step, "skipped", reason)
    for step in passage.deferred:
        add(tally, "steps", step, "deferred")
    for step in passage.called:
        add(tally, "steps", step, "called")
    for journey in passage.asked_to_enter:
        add(tally, "asked_to_enter", journey)
    _count_goal(tally, setting, person, passage)


def _count_goal(tally: Tally, setting: Setting, person: Person, passage: Passage) -> None:
    """Converted, or not, or not yet known, for those who get messages and for the holdout; and for each arm."""
    for split, arm in passage.arms.items():
        add(tally, "arms", split, arm, "entered")
        add(tally, "arms", split, arm, "sent", count=len(passage.sent))
    goal = setting.journey.goal
    if goal is None:
        return
    until = passage.entry.occurred_at + goal.within.timedelta
    is_converted = converted_at(setting, person, passage.entry) is not None
    outcome = "converted" if is_converted else "open" if until > setting.asked.until else "not_converted"
    add(tally, "goal", "held_out" if passage.is_held_out else "treated", outcome)
    for split, arm in passage.arms.items():
        add(tally, "arms", split, arm, outcome)


def converted_at(setting: Setting, person: Person, entry: EventFact) -> datetime | None:
    """When the goal was reached: the first event that counts, within the goal's window from entry."""
    goal = setting.journey.goal
    if goal is None:
        return None
    facts = Facts(entry=entry, entered_at=entry.occurred_at)
    until = entry.occurred_at + goal.within.timedelta
    met = [
        event.occurred_at
        for event in person.events
        if entry.occurred_at <= event.occurred_at <= until
        and event.id != entry.id
        and counts(setting.journey.key, goal.events, event, facts)
    ]
    return min(met, default=None)


MINUTES_KEPT = 20_000


def busiest(minutes: dict[str, int]) -> dict[str, Any] | None:
    """The minute with the most messages, the earliest of several."""
    if not minutes:
        return None
    at = min(minutes, key=lambda minute: (-minutes[minute], minute))
    return {"at": f"{at}:00Z", "sent": minutes[at], "is_exact": len(minutes) < MINUTES_KEPT}


def bounded(minutes: dict[str, int]) -> dict[str, int]:
    """At most so many minutes, the busiest: what is dropped had few messages, and could only win by having many more later."""
    if len(minutes) <= MINUTES_KEPT:
        return minutes
    return dict(sorted(minutes.items(), key=lambda each: -each[1])[:MINUTES_KEPT])


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")
