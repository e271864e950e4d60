"""What can be wrong with a journey as a whole. Nodes check nothing but types; all problems are found at once, each with its remedy.

The rules hold for what authors write from now on: stored definitions are read and run without them.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from journeys.language.check_conditions import conditions_in
from journeys.language.check_entries import time_problems
from journeys.language.check_hours import hours_problems
from journeys.language.check_steps import step_problems
from journeys.language.conditions import Captured, Entry, InSegment
from journeys.language.durations import Duration, Once
from journeys.language.entries import DateEntry, Requested, ScheduleEntry, SegmentEntry
from journeys.language.errors import Problem
from journeys.language.events import Events
from journeys.language.findings import Place
from journeys.language.messages import QuietHours, SendWindow
from journeys.language.nodes import Node, fields_of
from journeys.language.steps import AnyStep, Case, Repeat, Send, WaitFor
from journeys.language.walk import all_steps, always_leaves, branches, nodes_in

if TYPE_CHECKING:
    from journeys.language.journey import Journey

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_STEP_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_RESERVED = ("entry", "now")
_Hours = tuple[QuietHours | None, SendWindow | None]


def problems(journey: "Journey") -> list[Problem]:
    """Find everything that is wrong with a journey, in the order in which it is written; an empty list means none."""
    place = Place(journey.name)
    return [
        *_fields(journey, place),
        *_ids(journey, place),
        *_walk(journey.steps, place, journey.ends_after, (journey.quiet_hours, journey.send_window)),
    ]


def warnings(journey: "Journey", segments: Collection[str] = ()) -> list[Problem]:
    """Find what is allowed and rarely meant, and what another version will do by itself. `segments` are those that are known."""
    place = Place(journey.name)
    return [
        *_enters_once(journey, place),
        *_counts_too_little(journey, place),
        *_segments(journey, segments, place),
    ]


def _enters_once(journey: "Journey", place: Place) -> Iterator[Problem]:
    start = journey.starts_on
    comes_again = (isinstance(start, DateEntry) and start.every) or (isinstance(start, ScheduleEntry) and not isinstance(start.when, Once))
    if comes_again and journey.again_after is None:
        yield place.at("starts_on").problem(
            "enters_once",
            "this comes again and again, and each person enters once in a lifetime: write again_after=ALWAYS if they shall enter each time",
        )


def _counts_too_little(journey: "Journey", place: Place) -> Iterator[Problem]:
    for repeat in all_steps(journey.steps):
        if not isinstance(repeat, Repeat):
            continue
        for step in all_steps(repeat.steps):
            if isinstance(step, WaitFor) and step.since is None:
                yield place.at(step.id).problem(
                    "since_left_out",
                    "this WaitFor repeats and counts from the last Send, so a late answer to an earlier pass does not count:"
                    ' write since="entry" if it should, since="now" if not',
                )


def _segments(journey: "Journey", known: Collection[str], place: Place) -> Iterator[Problem]:
    places: list[tuple[Place, object]] = [(place.at("starts_on"), journey.starts_on), (place.at("exits_on"), journey.exits_on)]
    places += [(place.at(step.id), value) for step in all_steps(journey.steps) for value in _own_fields(step)]
    for where, value in places:
        for name in sorted({each.segment for each in nodes_in(value) if isinstance(each, (InSegment, SegmentEntry))} - set(known)):
            yield where.problem(
                "segment_not_known", f"no file here writes a segment {name}: write journeys/segments/, unless the app has it from elsewhere"
            )


def _own_fields(step: AnyStep) -> Iterator[object]:
    """What a step holds itself, without the steps inside it."""
    for _, value in fields_of(step):
        whens = [case.when for case in value if isinstance(case, Case)] if isinstance(value, tuple) else [value]
        yield from whens


def _fields(journey: "Journey", place: Place) -> Iterator[Problem]:
    if not _NAME.fullmatch(journey.name) or len(journey.name) > 63:
        yield place.problem(
            "name_not_kebab", "a journey's name is small letters and digits joined by hyphens, 63 at most: write it like order-status"
        )
    if not journey.steps:
        yield place.problem("no_steps", "a journey needs at least one step: write it in steps=[...]")
    if not 0 <= journey.holdout < 100 or Decimal(str(journey.holdout)) * 100 % 1:
        yield place.problem(
            "holdout_percent", "holdout is a percentage from 0 to below 100 with two decimals at most: write 10 for every tenth person"
        )
    if journey.key is not None and not isinstance(journey.starts_on, (Events, Requested)):
        yield place.problem(
            "key_without_event", "key is a property of what lets people in: start on event(...) or requested(), or remove key"
        )
    for name, duration in _durations(journey):
        if duration.seconds <= 0:
            yield place.problem("no_duration", f"{name} must be longer than 0: write a length of time, such as days(7)")
    yield from hours_problems(journey.quiet_hours, journey.send_window, place)
    everything = place.at("exits_on").after(all_steps(journey.steps))
    yield from conditions_in(journey.exits_on, everything)
    yield from _without(journey.starts_on, place.at("starts_on"), (Entry, Captured), "nothing has been captured before it starts")
    yield from time_problems(journey.starts_on, place.at("starts_on"))
    yield from conditions_in(journey.goal, place.at("goal"))


def _durations(journey: "Journey") -> Iterator[tuple[str, Duration]]:
    yield "ends_after", journey.ends_after
    yield "late_after", journey.late_after
    if isinstance(journey.again_after, Duration):
        yield "again_after", journey.again_after
    if journey.goal is not None:
        yield "the time within which the goal counts", journey.goal.within
    for cap in journey.caps or ():
        if isinstance(cap.per, Duration):
            yield "a cap's per", cap.per


def _without(value: Node, place: Place, banned: tuple[type[Node], ...], why: str) -> Iterator[Problem]:
    if any(isinstance(each, banned) for each in nodes_in(value)):
        yield place.problem("not_known_here", f"{why}: use {'trait' if isinstance(value, DateEntry) else 'prop'} and literals")
    else:
        yield from conditions_in(value, place)


def _ids(journey: "Journey", place: Place) -> Iterator[Problem]:
    for name, count in Counter(step.id for step in all_steps(journey.steps)).items():
        if count > 1:
            yield place.at(name).problem("id_not_unique", f"{count} steps have the id {name!r}: give each its own")
        if not _STEP_ID.fullmatch(name):
            yield place.at(name).problem(
                "id_not_plain",
                "a step's id is letters, digits, _ and -, begins with a letter and has 63 at most: write it like second_chance",
            )
        if name in _RESERVED:
            yield place.at(name).problem("id_reserved", f"{name!r} has a meaning in since=: choose another id")


def _hours_of(step: Send, hours: "_Hours", place: Place) -> Iterator[Problem]:
    """What the Send says itself, together with what it takes from the journey."""
    quiet, window = hours
    if step.quiet_hours is not None or step.send_window is not None:
        yield from hours_problems(step.quiet_hours or quiet, step.send_window or window, place)


def _walk(steps: Sequence[AnyStep], place: Place, longest: Duration, hours: "_Hours") -> Iterator[Problem]:
    for number, step in enumerate(steps, 1):
        yield from step_problems(step, place.at(step.id), longest)
        if isinstance(step, Send):
            yield from _hours_of(step, hours, place.at(step.id))
        inside = place.repeating(all_steps(step.steps)) if isinstance(step, Repeat) else place
        for branch in branches(step):
            yield from _walk(branch, inside.after([step]), longest, hours)
        if always_leaves(step) and number < len(steps):
            yield place.at(steps[number].id).problem("unreachable", f"every way through {step.id!r} exits: remove the steps behind it")
        place = place.after(all_steps([step]))
