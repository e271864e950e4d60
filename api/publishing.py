"""What publishing would change: definitions and templates against what is live. Pure: no SQL, no clock."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import unified_diff
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from channels.templates import content_hash as template_hash
from journeys.language.assign import BUCKETS
from journeys.language.check import problems
from journeys.language.codec import content_hash, from_json, to_json
from journeys.language.describe import duration_words
from journeys.language.diff import Difference, differences, stays
from journeys.language.durations import Always, Once
from journeys.language.entries import ScheduleEntry
from journeys.language.errors import Invalid, Problem
from journeys.language.journey import Journey
from journeys.language.schedules import next_strike
from journeys.language.steps import Split
from journeys.language.walk import all_steps
from journeys.language.zones import zone_of
from storage.journeys import JourneyState
from storage.templates import StoredTemplate

Kind = Literal["new", "changed", "same", "retired", "back"]
HALF = 0.5
WESTERNMOST = "Etc/GMT+12"
"""The zone that comes to a time on the wall last."""
_TEMPLATE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_FILE_NAME = re.compile(r"(?:(?:_layouts|_partials)/)?[a-z0-9_-]{1,40}(?:\.[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3})?\.[a-z]{1,10}")


@dataclass(frozen=True)
class Written:
    """A journey to be published, read and checked."""

    journey: Journey
    definition: str
    hash: str


@dataclass(frozen=True)
class AtStep:
    """People of one version who stand at a step, and why they could not be moved to the planned version there; None: they could."""

    version: int
    step: str
    people: int
    stays: str | None


@dataclass(frozen=True)
class JourneyChange:
    """What becomes of one journey. `version` is what is live now, None when it is new; `inside` people by version.

    `arms` says what a change of weights does to people's arms. `renamed_from` would be retired and has mostly the same steps.
    """

    name: str
    change: Kind
    version: int | None
    inside: Mapping[int, int]
    entry: str
    arms: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    renamed_from: str | None = None
    at_steps: tuple[AtStep, ...] = ()


@dataclass(frozen=True)
class TemplateChange:
    """What becomes of one template; `version` is what is live now, `diff` the lines of a unified diff of its files."""

    name: str
    change: Kind
    version: int | None
    diff: tuple[str, ...] = ()


def read(definitions: Sequence[Mapping[str, Any]]) -> list[Written]:
    """Read and check definitions. Raises Invalid with every problem of all of them."""
    found: list[Problem] = []
    written: list[Written] = []
    for place, definition in enumerate(definitions):
        try:
            journey = from_json(orjson.dumps(definition))
        except ValidationError as error:
            found += [Problem(f"/journeys/{place}{_pointer(e['loc'])}", e["type"]) for e in error.errors(include_input=False)]
            continue
        found += [Problem(f"/journeys/{place}", p.code, f"{p.pointer}: {p.message}") for p in problems(journey)]
        written.append(Written(journey, to_json(journey).decode(), content_hash(journey)))
    found += _twice([each.journey.name for each in written])
    if found:
        raise Invalid(found)
    return written


def plain(definition: str) -> dict[str, Any]:
    """A stored definition as JSON values."""
    found: dict[str, Any] = orjson.loads(definition)
    return found


def name_problems(templates: Mapping[str, Mapping[str, str]]) -> list[Problem]:
    """Find names that no template or file can have."""
    found = [
        Problem("/templates", "bad_template_name", "lower-case letters, digits, - and _, 63 at most")
        for name in templates
        if not _TEMPLATE_NAME.fullmatch(name)
    ]
    return found + [
        Problem(
            f"/templates/{name}",
            "bad_file_name",
            "a template's files are named like subject.txt, subject.de.txt, _layouts/mail.html or _partials/footer.html",
        )
        for name, files in templates.items()
        for file in files
        if not _FILE_NAME.fullmatch(file)
    ]


def compare(written: Sequence[Written], live: Sequence[JourneyState], live_definitions: Mapping[str, str]) -> list[JourneyChange]:
    """Say for each journey what publishing would change; those that are live and not among `written` would be retired.

    `live_definitions` are those of all journeys, retired ones too.
    """
    states = {state.name: state for state in live}
    named = {each.journey.name for each in written}
    gone = [state for state in live if state.name not in named and state.retired_at is None]
    retired = [JourneyChange(state.name, "retired", state.live_version, state.inside, "nobody") for state in gone]
    lost = [from_json(live_definitions[state.name]) for state in gone if state.name in live_definitions]
    changes = [_change(each, states.get(each.journey.name), live_definitions.get(each.journey.name), lost) for each in written]
    return sorted(changes + retired, key=lambda change: change.name)


def compare_templates(templates: Mapping[str, Mapping[str, str]], live: Mapping[str, StoredTemplate]) -> list[TemplateChange]:
    """Say for each template what publishing would change. Templates are never retired."""
    changes = []
    for name, files in sorted(templates.items()):
        known = live.get(name)
        if known is None:
            changes.append(TemplateChange(name, "new", None))
        elif known.hash == template_hash(files):
            changes.append(TemplateChange(name, "same", known.version))
        else:
            changes.append(TemplateChange(name, "changed", known.version, _text_diff(known, files)))
    return changes


def at_steps(
    change: JourneyChange, standing: Mapping[tuple[int, str], int], versions: Mapping[int, Journey], new: Journey
) -> JourneyChange:
    """Say of the people at each step whether they could be moved to `new`. `standing` maps (version, step) to people."""
    found = [
        AtStep(version, step, people, stays(versions[version], new, step))
        for (version, step), people in sorted(standing.items())
        if version in versions
    ]
    return replace(change, at_steps=tuple(found))


def gone_by(written: Sequence[Written], live_definitions: Mapping[str, str], now: datetime) -> list[Problem]:
    """Find what would strike once, and only before now. What is live may stay: it has struck."""
    found = []
    for each in written:
        start = each.journey.starts_on
        if not isinstance(start, ScheduleEntry) or not isinstance(start.when, Once):
            continue
        known = live_definitions.get(each.journey.name)
        last_zone = zone_of(start.zone or WESTERNMOST)
        if next_strike(start.when, last_zone, now) is None and (known is None or from_json(known).starts_on != start):
            words = f"{each.journey.name}/starts_on: once(...) is of a time that is past: write one that comes"
            found.append(Problem("/journeys", "once_is_past", words))
    return found


def _text_diff(known: StoredTemplate, files: Mapping[str, str]) -> tuple[str, ...]:
    lines: list[str] = []
    for file in sorted({*known.files, *files}):
        before, after = known.files.get(file, "").splitlines(), files.get(file, "").splitlines()
        live, planned = f"{known.name}/{file} (version {known.version})", f"{known.name}/{file}"
        lines += unified_diff(before, after, live, planned, lineterm="", n=2)
    return tuple(lines)


def _renamed_from(journey: Journey, lost: Sequence[Journey]) -> str | None:
    """The journey among those that would be retired with which it shares the most steps, if that is half of them or more."""
    steps = {step.id for step in all_steps(journey.steps)}
    alike = {each.name: _likeness(steps, {step.id for step in all_steps(each.steps)}) for each in lost}
    best = max(sorted(alike), key=alike.__getitem__, default=None)
    return best if best is not None and alike[best] >= HALF else None


def _likeness(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def entry_words(journey: Journey) -> str:
    """Say how often a person may enter."""
    who = "each user and key" if journey.key is not None else "each user"
    if journey.again_after is None:
        return f"{who} once in a lifetime"
    if isinstance(journey.again_after, Always):
        return f"{who} again whenever they are not inside"
    return f"{who} again {duration_words(journey.again_after)} after the last time they entered"


def _change(written: Written, state: JourneyState | None, live_definition: str | None, lost: Sequence[Journey]) -> JourneyChange:
    name, entry = written.journey.name, entry_words(written.journey)
    if state is None:
        return JourneyChange(name, "new", None, {}, entry, renamed_from=_renamed_from(written.journey, lost))
    change: Kind = "same" if state.live_hash == written.hash else "changed"
    if state.retired_at is not None:
        change = "back"
    before = from_json(live_definition) if state.live_hash != written.hash and live_definition else written.journey
    found = tuple(differences(before, written.journey))
    return JourneyChange(name, change, state.live_version, state.inside, entry, _moved(before, written.journey), found)


def _moved(before: Journey, after: Journey) -> tuple[str, ...]:
    """Say for each Split that stays which share of people a change of its arms moves to another arm."""
    splits = {step.id: step for step in all_steps(before.steps) if isinstance(step, Split)}
    words = []
    for step in all_steps(after.steps):
        if isinstance(step, Split) and step.id in splits:
            one, other = _arms(splits[step.id]), _arms(step)
            moved = sum(a != b for a, b in zip(one, other, strict=True))
            if moved:
                words.append(f"{step.id}: {moved * 100 / BUCKETS:g} % of people change their arm")
    return tuple(words)


def _arms(split: Split) -> list[str]:
    """The arm of each bucket, in contiguous ranges as assign.arm reads them."""
    names: list[str] = []
    end = 0.0
    for arm in split.arms:
        end += arm.weight
        names += [arm.name] * (round(end * (BUCKETS // 100)) - len(names))
    return (names + [split.arms[-1].name] * BUCKETS)[:BUCKETS]


def _twice(names: Sequence[str]) -> list[Problem]:
    again = sorted({name for name in names if names.count(name) > 1})
    return [Problem("/journeys", "name_twice", f"two journeys are named {name}") for name in again]


def _pointer(location: Iterable[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)
