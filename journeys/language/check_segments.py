"""What can be wrong with segments: each condition by itself, and how they name each other."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from journeys.language.check_conditions import conditions_in
from journeys.language.conditions import AnyCondition, Captured, Did, Entry, InSegment, LastDid, MessageWas, Statement
from journeys.language.errors import Problem
from journeys.language.findings import Place
from journeys.language.nodes import Node
from journeys.language.walk import nodes_in

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME = 63
_LARGEST = 1000


def segment_problems(segments: Mapping[str, AnyCondition], listed: Collection[str] = ()) -> list[Problem]:
    """Find everything that is wrong with the segments of an app, all of them given by name; an empty list means none.

    `listed` are names of those that are lists of people and have no condition.
    """
    named = {name: _others_in(condition) for name, condition in segments.items()}
    sizes: dict[str, int] = {}
    return [
        problem
        for name, condition in sorted(segments.items())
        for place in [Place(name, is_segment=True)]
        for problem in (
            *definition_problems(name, condition),
            *_names(name, {**dict.fromkeys(listed, ()), **named}, place),
            *_too_large(name, segments, sizes, place),
        )
    ]


def definition_problems(name: str, condition: AnyCondition) -> list[Problem]:
    """Find what is wrong with one segment by itself."""
    place = Place(name, is_segment=True)
    return [*_name(name, place), *_condition(condition, place)]


def _name(name: str, place: Place) -> Iterator[Problem]:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        yield place.problem(
            "name_not_kebab", "a segment's name is small letters and digits joined by hyphens, 63 at most: write it like big-spenders"
        )


def _condition(condition: AnyCondition, place: Place) -> Iterator[Problem]:
    kinds = sorted({_kind(each) for each in nodes_in(condition) if _is_of_an_enrollment(each)})
    for kind in kinds:
        yield place.problem(
            "of_an_enrollment", f"{kind} is of an enrollment, and who is in a segment has none: ask what the user is and did"
        )
    if not kinds:
        yield from conditions_in(condition, place)


def _is_of_an_enrollment(each: Node) -> bool:
    match each:
        case Entry() | Captured() | Did(since="entry") | MessageWas(step=str()):
            return True
        case _:
            return False


def _kind(each: Node) -> str:
    match each:
        case Did():
            return 'since="entry"'
        case MessageWas():
            return "step="
        case Entry():
            return "entry(...)"
        case _:
            return "captured(...)"


def _names(name: str, named: Mapping[str, Sequence[str]], place: Place) -> Iterator[Problem]:
    for other in named[name]:
        if other not in named:
            yield place.problem("no_such_segment", f"in_segment({other!r}) names no segment: write one that there is")
    way = _way_back(name, named)
    if way is not None:
        yield place.problem("segment_circle", f"it is defined by itself: {' -> '.join(way)}: remove one of these in_segment(...)")


def _way_back(name: str, named: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The shortest way from a segment to itself over what each names, or None."""
    ways, seen = [[name]], set[str]()
    for way in ways:
        for other in named.get(way[-1], ()):
            if other == name:
                return [*way, name]
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    return None


def _others_in(condition: AnyCondition) -> Sequence[str]:
    return sorted({each.segment for each in nodes_in(condition) if isinstance(each, InSegment)})


def _too_large(name: str, segments: Mapping[str, AnyCondition], sizes: dict[str, int], place: Place) -> Iterator[Problem]:
    if _size(name, segments, sizes) > _LARGEST:
        yield place.problem(
            "segment_too_large", f"with the segments that it names it asks more than {_LARGEST} things: ask less, or freeze one of them"
        )


def _size(name: str, segments: Mapping[str, AnyCondition], sizes: dict[str, int]) -> int:
    """How much a segment asks, with all that stands in the segments that it names, as often as it names them."""
    if name not in segments or name in sizes:
        return sizes.get(name, 1)
    sizes[name] = 1  # of a circle, which has its own problem
    named = [each.segment for each in nodes_in(segments[name]) if isinstance(each, InSegment)]
    sizes[name] = sum(1 for _ in nodes_in(segments[name])) + sum(_size(other, segments, sizes) for other in named)
    return sizes[name]


def costly(condition: AnyCondition, segments: Mapping[str, object] = MappingProxyType({})) -> list[str]:
    """Say what makes a condition slow to count: what must look at events of all time.

    `segments` are those that it comes to; without them only what the condition asks itself is said.
    """
    asked = (condition, *(each for each in segments.values() if isinstance(each, Node)))
    found = {words for each in nodes_in(asked) for words in _of_all_time(each)}
    return sorted(found)


def _of_all_time(each: Node) -> Iterator[str]:
    match each:
        case Did(last=None, between=None):
            yield f"did({each.event!r}) looks at all of these events that there are: bound it with last= or between= where you can"
        case LastDid(event):
            yield f"last_did({event!r}) looks at all of these events that there are: ask did({event!r}, last=...) where you can"
        case Statement():
            yield "sql(...) is run as a whole, also for one person"
        case _:
            return
