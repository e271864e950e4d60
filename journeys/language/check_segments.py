"""What can be wrong with segments: each condition by itself, and how they name each other."""

from collections.abc import Iterator, Mapping, Sequence

from journeys.language.check_conditions import conditions_in
from journeys.language.conditions import AnyCondition, Captured, Did, Entry, InSegment, MessageWas
from journeys.language.errors import Problem
from journeys.language.findings import Place
from journeys.language.nodes import Node
from journeys.language.walk import nodes_in


def segment_problems(segments: Mapping[str, AnyCondition]) -> list[Problem]:
    """Find everything that is wrong with the segments of an app, all of them given by name; an empty list means none."""
    named = {name: _others_in(condition) for name, condition in segments.items()}
    return [
        problem
        for name, condition in sorted(segments.items())
        for place in [Place(name, is_segment=True)]
        for problem in (*_condition(condition, place), *_names(name, named, place))
    ]


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
