"""What differs between two versions of a journey, step by step, in words. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from typing import Any, Literal, cast

from journeys.language.conditions import ConditionNode, ExpressionNode, Shifted, Timed
from journeys.language.describe import (
    cap_words,
    condition_words,
    duration_words,
    events_words,
    moment_words,
    schedule_words,
    step_words,
    ways_out_words,
    window_words,
)
from journeys.language.durations import Always, At, BestTime, Day, Duration, Instant, On
from journeys.language.entries import DateEntry, ScheduleEntry
from journeys.language.events import Events, Exits, Goal
from journeys.language.journey import Journey
from journeys.language.messages import Cap, Message, QuietHours, SendWindow
from journeys.language.nodes import Node, fields_of, shape
from journeys.language.steps import AnyStep, Repeat, Split
from journeys.language.walk import all_steps

Kind = Literal["added", "removed", "changed", "moved", "renamed"]
# What leads to other steps is told of those; an arm or a case is told by its name, weight or condition.
_BRANCHES = ("then", "otherwise", "if_past", "steps")
_NOT_TOLD = ("id", "kind", "name", *_BRANCHES)


@dataclass(frozen=True)
class Difference:
    """One thing that differs. `step` None: the journey itself. `before` and `after` are values of `field` in words."""

    kind: Kind
    step: str | None
    words: str
    field: str | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class Place:
    """Where a step stands: in which branch of which step (none: the trunk), behind which other (none: first)."""

    parent: str | None
    branch: str
    behind: str | None

    @property
    def words(self) -> str:
        inside = f"in {self.branch} of {self.parent}" if self.parent else ""
        return ", ".join(part for part in (inside, f"after {self.behind}" if self.behind else "first") if part)


def differences(before: Journey, after: Journey) -> list[Difference]:
    """Everything that differs, the journey's own fields first, then steps in the order of `after`, then those that are gone."""
    old = {step.id: step for step in all_steps(before.steps)}
    new = {step.id: step for step in all_steps(after.steps)}
    old_places, new_places = places(before.steps), places(after.steps)
    renamed = _renamed(old, new)
    out_of_order = _out_of_order(before, after)
    found = list(_changed(None, _own(before), _own(after)))
    for name, step in new.items():
        if name in old:
            found += _step_changed(old[name], step)
            found += _moved(name, old_places[name], new_places[name], is_out_of_order=name in out_of_order)
        elif name in renamed:
            found.append(Difference("renamed", name, f"was {renamed[name]}: a step of its own, which those inside have not seen"))
        else:
            found.append(Difference("added", name, f"{step_words(step)}, {new_places[name].words}"))
    gone = [name for name in old if name not in new and name not in renamed.values()]
    return found + [Difference("removed", name, step_words(old[name])) for name in gone]


def places(steps: Sequence[AnyStep]) -> dict[str, Place]:
    """Each step's place, by its id."""
    return dict(_places(steps, None, ""))


def stays(before: Journey, after: Journey, step: str) -> str | None:
    """Why somebody who stands at this step could not be moved to the other version there; None when they could.

    A key of moving.REASONS. Whether this person can is known by their workflow alone; that is asked by a move.
    """
    old = {each.id: each for each in all_steps(before.steps)}
    new = {each.id: each for each in all_steps(after.steps)}
    if shape(before.key) != shape(after.key):
        return "other_key"
    if step not in new:
        return "no_such_step"
    if step in old and type(old[step]) is not type(new[step]):
        return "other_kind"
    return "other_arm" if _arms_around(after, step) - _arms_around(before, step) else None


def _arms_around(journey: Journey, step: str) -> set[tuple[str, str]]:
    """The arms in which a step stands: (split, arm)."""
    return {
        (split.id, arm.name)
        for split in all_steps(journey.steps)
        if isinstance(split, Split)
        for arm in split.arms
        if any(inner.id == step for inner in all_steps(arm.steps))
    }


def _places(steps: Sequence[AnyStep], parent: str | None, branch: str) -> Iterator[tuple[str, Place]]:
    behind = None
    for step in steps:
        yield step.id, Place(parent, branch, behind)
        behind = step.id
        for name, inner in _branches(step):
            yield from _places(inner, step.id, name)


def _branches(step: AnyStep) -> Iterator[tuple[str, Sequence[AnyStep]]]:
    if isinstance(step, Split):
        yield from ((f"arm {arm.name}", arm.steps) for arm in step.arms)
        return
    for number, case in enumerate(getattr(step, "cases", ()), 1):
        yield f"case {number}", case.steps
    for name in _BRANCHES:
        yield ("each pass" if isinstance(step, Repeat) else name), getattr(step, name, ())


def _out_of_order(before: Journey, after: Journey) -> set[str]:
    """Steps that stay in their branch and change their order there: all but a longest run of those that keep theirs."""
    old, new = places(before.steps), places(after.steps)
    found: set[str] = set()
    for branch in {(place.parent, place.branch) for place in new.values()}:
        before_order = [name for name, place in old.items() if (place.parent, place.branch) == branch and name in new]
        after_order = [name for name, place in new.items() if (place.parent, place.branch) == branch and name in before_order]
        blocks = SequenceMatcher(None, before_order, after_order, autojunk=False).get_matching_blocks()
        kept = {after_order[block.b + place] for block in blocks for place in range(block.size)}
        found |= set(after_order) - kept
    return found


def _moved(name: str, before: Place, after: Place, *, is_out_of_order: bool) -> list[Difference]:
    is_elsewhere = (before.parent, before.branch) != (after.parent, after.branch)
    if not is_elsewhere and not is_out_of_order:
        return []
    return [Difference("moved", name, f"stands {after.words}; stood {before.words}")]


def _renamed(old: Mapping[str, AnyStep], new: Mapping[str, AnyStep]) -> dict[str, str]:
    """New id -> old id of steps that are alike in everything but their id."""
    gone = {name: step for name, step in old.items() if name not in new}
    found: dict[str, str] = {}
    for name, step in new.items():
        alike = [other for other, was in gone.items() if name not in old and _is_alike(was, step) and other not in found.values()]
        if alike:
            found[name] = alike[0]
    return found


def _is_alike(one: AnyStep, other: AnyStep) -> bool:
    return type(one) is type(other) and _shapes(_own(one)) == _shapes(_own(other))


def _shapes(values: Mapping[str, Any]) -> dict[str, object]:
    return {name: shape(value) for name, value in values.items()}


def _step_changed(before: AnyStep, after: AnyStep) -> list[Difference]:
    if type(before) is not type(after):
        words = f"is {type(after).__name__} ({step_words(after)}), was {type(before).__name__} ({step_words(before)})"
        return [Difference("changed", after.id, words)]
    return list(_changed(after.id, _own(before), _own(after)))


def _changed(step: str | None, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for name, value in after.items():
        if shape(before[name]) != shape(value):
            old, new = words_of(before[name]), words_of(value)
            yield Difference("changed", step, f"{name} is {new}, was {old}", name, old, new)


def _own(value: Any) -> dict[str, Any]:
    """The fields of a step, or of a journey, without what is inside it."""
    found = {each.name: getattr(value, each.name) for each in fields(value) if each.name not in _NOT_TOLD}
    if "cases" in found:
        found["cases"] = tuple(case.when for case in found["cases"])
    if "arms" in found:
        found["arms"] = tuple((arm.name, arm.weight) for arm in found["arms"])
    return found


def words_of(value: Any) -> str:
    """A value of a field, as one says it."""
    match value:
        case None | ():
            return "nothing"
        case Duration():
            return duration_words(value)
        case Always():
            return "always"
        case Goal(events, within):
            return f"{events_words(events)} within {duration_words(within)}"
        case Events() | Exits():
            return ways_out_words(value)
        case ScheduleEntry():
            return schedule_words(value)
        case DateEntry():
            return f"{moment_words(value.moment)}{', every year' if value.every else ''}"
        case QuietHours():
            return f"{value.start} to {value.end}, then {value.then}"
        case Cap():
            return cap_words(value)
        case SendWindow():
            return f"{window_words(value)}, then {value.then}"
        case ConditionNode():
            return condition_words(cast("Any", value))
        case At() | On() | BestTime() | Instant() | Day() | ExpressionNode() | Shifted() | Timed():
            return moment_words(value)
        case tuple():
            return ", ".join(f"{each[0]} {each[1]:g} %" if isinstance(each, tuple) else words_of(each) for each in value)
        case Message():
            return f"{value.channel}: {value.template}" + (f" through {value.provider}" if value.provider else "")
        case Node():
            return json.dumps(_plain(value), ensure_ascii=False)
        case _:
            return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Node):
        return {name: _plain(inner) for name, inner in fields_of(value) if inner is not None}
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value
