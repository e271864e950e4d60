"""What publishing would change: definitions and templates against what is live. Pure: no SQL, no clock."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from channels.templates import content_hash as template_hash
from journeys.language.assign import BUCKETS
from journeys.language.check import not_run_yet, problems
from journeys.language.codec import content_hash, from_json, to_json
from journeys.language.describe import duration_words
from journeys.language.durations import Always
from journeys.language.errors import Invalid, Problem
from journeys.language.journey import Journey
from journeys.language.steps import Split
from journeys.language.walk import all_steps
from storage.journeys import JourneyState

Kind = Literal["new", "changed", "same", "retired", "back"]
_TEMPLATE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_FILE_NAME = re.compile(r"[a-z0-9_]{1,40}\.[a-z]{1,10}")


@dataclass(frozen=True)
class Written:
    """A journey to be published, read and checked."""

    journey: Journey
    definition: str
    hash: str


@dataclass(frozen=True)
class JourneyChange:
    """What becomes of one journey. `version` is what is live now, None when it is new; `inside` how many people are in it."""

    name: str
    change: Kind
    version: int | None
    inside: int
    entry: str
    moved: tuple[str, ...] = ()


@dataclass(frozen=True)
class TemplateChange:
    """What becomes of one template; `version` is what is live now."""

    name: str
    change: Kind
    version: int | None


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
        wrong = [*problems(journey), *not_run_yet(journey)]
        found += [Problem(f"/journeys/{place}", p.code, f"{p.pointer}: {p.message}") for p in wrong]
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
        Problem(f"/templates/{name}", "bad_file_name", "a template's files are named like subject.txt")
        for name, files in templates.items()
        for file in files
        if not _FILE_NAME.fullmatch(file)
    ]


def compare(written: Sequence[Written], live: Sequence[JourneyState], live_definitions: Mapping[str, str]) -> list[JourneyChange]:
    """Say for each journey what publishing would change; those that are live and not among `written` would be retired."""
    states = {state.name: state for state in live}
    changes = [_change(each, states.get(each.journey.name), live_definitions.get(each.journey.name)) for each in written]
    named = {each.journey.name for each in written}
    gone = [state for state in live if state.name not in named and state.retired_at is None]
    retired = [
        JourneyChange(state.name, "retired", state.live_version, sum(state.inside.values()), "nobody enters any more") for state in gone
    ]
    return sorted(changes + retired, key=lambda change: change.name)


def compare_templates(templates: Mapping[str, Mapping[str, str]], live: Mapping[str, tuple[int, str]]) -> list[TemplateChange]:
    """Say for each template what publishing would change; `live` maps a name to (version, hash). Templates are never retired."""
    changes = []
    for name, files in sorted(templates.items()):
        version, known = live.get(name, (None, ""))
        change: Kind = "new" if version is None else "same" if known == template_hash(files) else "changed"
        changes.append(TemplateChange(name, change, version))
    return changes


def entry_words(journey: Journey) -> str:
    """Say how often a person may enter."""
    who = "each user and key" if journey.key is not None else "each user"
    if journey.again_after is None:
        return f"{who} once in a lifetime"
    if isinstance(journey.again_after, Always):
        return f"{who} again whenever they are not inside"
    return f"{who} again {duration_words(journey.again_after)} after the last time they entered"


def _change(written: Written, state: JourneyState | None, live_definition: str | None) -> JourneyChange:
    entry = entry_words(written.journey)
    if state is None:
        return JourneyChange(written.journey.name, "new", None, 0, entry)
    change: Kind = "same" if state.live_hash == written.hash else "changed"
    if state.retired_at is not None:
        change = "back"
    moved = _moved(from_json(live_definition), written.journey) if change == "changed" and live_definition else ()
    return JourneyChange(written.journey.name, change, state.live_version, sum(state.inside.values()), entry, moved)


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
