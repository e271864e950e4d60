"""A segment: a name, and the condition of who is in it. Written in Python it is checked when it is built; read from JSON it is not."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, cast

from journeys.language.check_segments import definition_problems
from journeys.language.conditions import (
    AnyCondition,
    Condition,
    Device,
    Did,
    Has,
    InSegment,
    LastDid,
    Location,
    MessageWas,
    Near,
    Statement,
    Subscribed,
    Trait,
)
from journeys.language.durations import Ago, Ahead
from journeys.language.entries import ScheduleEntry, SegmentEntry
from journeys.language.errors import Invalid
from journeys.language.nodes import KW_ONLY, Node, node
from journeys.language.reading import LOCATION
from journeys.language.walk import nodes_in


def _checked_when_written(cls: type["Segment"]) -> type["Segment"]:
    build = cls.__init__

    def __init__(self: "Segment", *given: Any, **named: Any) -> None:  # noqa: N807 - it becomes the class's own
        build(self, *given, **named)
        if found := definition_problems(self.name, self.condition):
            raise Invalid(found)

    cls.__init__ = wraps(build)(__init__)  # type: ignore[method-assign]
    return cls


@_checked_when_written
@node
class Segment(Node):
    """Everybody of whom the condition holds. Raises Invalid with every problem when it is written in Python."""

    name: str
    condition: Condition
    _: KW_ONLY
    kind: Literal["dynamic"] = "dynamic"


@dataclass(frozen=True)
class Mentions:
    """What a condition is about: what must change before somebody comes in or goes out.

    `attributes` are dotted paths. `reads` says what else is looked at: endpoints, consents, messages, sql. `moves_with_time`: somebody may
    come in or go out though nothing happens.
    """

    events: Sequence[str]
    attributes: Sequence[str]
    segments: Sequence[str]
    reads: Sequence[str]
    moves_with_time: bool


def mentions(condition: AnyCondition) -> Mentions:
    """What a condition mentions itself, each once and sorted; what the segments mention that it names is not among it."""
    nodes = list(nodes_in(condition))
    return Mentions(
        events=_each(name for each in nodes for name in _events(each)),
        attributes=_each(path for each in nodes for path in _attributes(each)),
        segments=_each(each.segment for each in nodes if isinstance(each, InSegment)),
        reads=_each(_READS[type(each)] for each in nodes if type(each) in _READS),
        moves_with_time=any(_moves_with_time(each) for each in nodes),
    )


_READS: dict[type[Node], str] = {
    Has: "endpoints",
    Device: "endpoints",
    Subscribed: "consents",
    MessageWas: "messages",
    Statement: "sql",
}


def _events(each: Node) -> Sequence[str]:
    match each:
        case Did():
            return each.names
        case LastDid(event):
            return (event,)
        case _:
            return ()


def _attributes(each: Node) -> Sequence[str]:
    match each:
        case Trait(path):
            return (path,)
        case Location(path):
            return (f"{LOCATION}.{path}",)
        case Near():
            return (LOCATION,)
        case _:
            return ()


def _moves_with_time(each: Node) -> bool:
    match each:
        case Did():
            return each.last is not None
        case Ago() | Ahead() | Statement():
            return True
        case _:
            return False


def _each(names: Any) -> Sequence[str]:
    return tuple(sorted(set(cast("Sequence[str]", names))))


def segments_of(journey: Node) -> Sequence[str]:
    """The segments that a journey names: who they let in, and what its conditions ask."""
    return _each(each.segment for each in nodes_in(journey) if isinstance(each, (InSegment, SegmentEntry, ScheduleEntry)))
