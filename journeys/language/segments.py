"""A segment: a name, and the condition of who is in it. Written in Python it is checked when it is built; read from JSON it is not."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from journeys.language.check_segments import definition_problems
from journeys.language.conditions import (
    After,
    And,
    AnyCondition,
    Before,
    Compare,
    Condition,
    Device,
    Did,
    Has,
    InSegment,
    LastDid,
    Location,
    MessageWas,
    Near,
    Prop,
    Sample,
    Statement,
    Subscribed,
    Trait,
)
from journeys.language.durations import Ago, Ahead
from journeys.language.entries import ScheduleEntry, SegmentEntry
from journeys.language.errors import Invalid
from journeys.language.events import Event, Events
from journeys.language.listening import SEGMENT_EVENTS
from journeys.language.nodes import KW_ONLY, Node, node
from journeys.language.reading import LOCATION
from journeys.language.walk import nodes_in

if TYPE_CHECKING:
    from journeys.language.journey import Journey

D = TypeVar("D", bound=AnyCondition | str)


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


def subjects(definitions: Mapping[str, AnyCondition | str]) -> Sequence[str]:
    """What a change must be about to matter to these segments together, as storage names it: event:order_placed, attribute:plan, endpoints.

    Give all that a segment comes to; a list of people is a text.
    """
    conditions = [each for each in definitions.values() if not isinstance(each, str)]
    found = [f"list:{name}" for name, each in definitions.items() if isinstance(each, str)]
    for said in map(mentions, conditions):
        found += [f"event:{name}" for name in said.events]
        found += [f"attribute:{path.split('.', 1)[0]}" for path in said.attributes]
        found += said.reads
    found += [about for each in nodes_in(tuple(conditions)) for about in _of_the_person(each)]
    return _each(found)


def _of_the_person(each: Node) -> Sequence[str]:
    """A time on somebody's wall is another one in another zone; who becomes known under a user id is drawn once more."""
    match each:
        case Before() | After() | Did(between=(_, _)):
            return ("timezone",)
        case Sample():
            return ("identity",)
        case _:
            return ()


def reached(name: str, definitions: Mapping[str, D]) -> Mapping[str, D]:
    """All that a segment comes to, itself among it, sorted; what has no definition is left out."""
    found: dict[str, D] = {}
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each in definitions and each not in found:
            definition = found[each] = definitions[each]
            waiting += [inner.segment for inner in nodes_in(definition) if isinstance(inner, InSegment)]
    return dict(sorted(found.items()))


def asks_sql(definitions: Mapping[str, AnyCondition | str]) -> bool:
    """Whether SQL is among it: nobody can say which changes matter to it, so who comes in or goes out is not noticed."""
    return any(isinstance(each, Statement) for each in nodes_in(tuple(one for one in definitions.values() if not isinstance(one, str))))


def listened_to(journeys: "Iterable[Journey]", segments: Collection[str], triggers: Iterable[Events] = ()) -> Sequence[str]:
    """Those of the segments whose coming and going somebody listens to.

    That is a journey, by its way in, a way out, or an event that it names; or a campaign, by the events that send it.
    """
    names: set[str] = set()
    written = tuple(journeys)
    for each in nodes_in((*written, *triggers)):
        match each:
            case SegmentEntry(name):
                names.add(name)
            case Event(name, where=where) if name in SEGMENT_EVENTS:
                names |= named_in(where) or set(segments)
    names |= {each.segment for journey in written for each in nodes_in(journey.exits_on) if isinstance(each, InSegment)}
    return _each(names & set(segments))


def named_in(where: AnyCondition | None) -> set[str]:
    """The segment that an event must be of; nothing: it may be of any."""
    found = set()
    for part in where.parts if isinstance(where, And) else (where,):
        match part:
            case Compare(Prop("segment"), "==", str(name)):
                found.add(name)
    return found
