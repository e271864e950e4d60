"""Segments that are to be published: read, checked with those that are there, and compared with what is live. Pure: no SQL, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from api.errors import pointer
from journeys.language.campaigns import Campaign
from journeys.language.check_segments import costly, definition_problems, segment_problems
from journeys.language.codec import condition_from_json, condition_hash, condition_to_json
from journeys.language.conditions import And, AnyCondition
from journeys.language.describe import condition_words
from journeys.language.entries import SegmentEntry
from journeys.language.errors import Invalid, Problem
from journeys.language.journey import Journey
from journeys.language.segments import Mentions, asks_sql, mentions, reached, segments_of
from storage.segments import StoredSegment


@dataclass(frozen=True)
class WrittenSegment:
    """A segment to be published, read and checked by itself."""

    name: str
    condition: AnyCondition

    @property
    def text(self) -> str:
        return condition_to_json(self.condition).decode()

    @property
    def hash(self) -> str:
        return condition_hash(self.condition)

    @property
    def mentions(self) -> Mentions:
        return mentions(self.condition)


@dataclass(frozen=True)
class SegmentChange:
    """What becomes of one segment; `version` is what is live now, `before` and `after` say who is in it, in words.

    `warnings`: what of its condition makes it slow to count.
    """

    name: str
    change: Literal["new", "changed", "same"]
    version: int | None
    before: str | None
    after: str
    warnings: Sequence[str] = ()


def read(name: str, condition: Mapping[str, Any], place: str) -> WrittenSegment:
    """Read one condition and check it by itself; `place` is where it stands in the body. Raises Invalid with everything that is wrong."""
    try:
        written = WrittenSegment(name, condition_from_json(orjson.dumps(condition)))
    except ValidationError as error:
        raise Invalid([Problem(f"{place}{pointer(e['loc'])}", e["type"]) for e in error.errors(include_input=False)]) from error
    if found := definition_problems(name, written.condition):
        raise Invalid([Problem(place, each.code, each.message) for each in found])
    return written


def name_problems(name: str) -> list[Problem]:
    """Find what is wrong with the name of a segment in the address."""
    return [Problem("/name", each.code, each.message) for each in definition_problems(name, And([]))]


def read_all(conditions: Mapping[str, Mapping[str, Any]]) -> list[WrittenSegment]:
    """Read all that a publication holds. Raises Invalid with every problem of all of them."""
    written: list[WrittenSegment] = []
    found: list[Problem] = []
    for name, condition in sorted(conditions.items()):
        try:
            written.append(read(name, condition, f"/segments/{pointer([name])[1:]}"))
        except Invalid as invalid:
            found += invalid.problems
    if found:
        raise Invalid(found)
    return written


def together(written: Sequence[WrittenSegment], live: Sequence[StoredSegment]) -> list[Problem]:
    """Find what is wrong once these are published beside those that are live; a problem's pointer is /segments/<name>."""
    conditions = defined(written, live)
    named = {name: condition for name, condition in conditions.items() if not isinstance(condition, str)}
    found = segment_problems(named, [each.name for each in live if each.kind == "static"])
    found = [Problem(f"/segments/{each.pointer}", each.code, each.message) for each in found]
    lists = {each.name for each in live if each.kind == "static"}
    words = "a static segment has this name: give this one another, or delete that one first"
    return found + [Problem(f"/segments/{each.name}", "is_static", words) for each in written if each.name in lists]


def not_there(journeys: Iterable[Journey], names: Iterable[str]) -> list[Problem]:
    """Find every segment that these journeys name and that is not among `names`; pointers are the journeys' names."""
    known = set(names)
    return [
        Problem(journey.name, "no_such_segment", f"there is no segment {name}: publish it with this journey or before, or mend the name")
        for journey in journeys
        for name in segments_of(journey)
        if name not in known
    ]


def not_noticed(starting: Iterable[Journey | Campaign], definitions: Mapping[str, AnyCondition | str]) -> list[Problem]:
    """Find every journey and campaign that starts on a segment of which nobody notices who comes into it; pointers are their names."""
    ways_in = [(each.name, each.when if isinstance(each, Campaign) else each.starts_on) for each in starting]
    return [
        Problem(
            name,
            "segment_of_sql",
            f"nobody notices who comes into the segment {way_in.segment}, because it asks sql(...): write it as a condition,"
            " or put people on a list and start on that",
        )
        for name, way_in in ways_in
        if isinstance(way_in, SegmentEntry) and asks_sql(reached(way_in.segment, definitions))
    ]


def defined(written: Iterable[WrittenSegment], live: Iterable[StoredSegment]) -> Mapping[str, AnyCondition | str]:
    """What each segment is once these are published."""
    return {each.name: each.definition for each in live} | {each.name: each.condition for each in written}


def users_of(name: str, journeys: Iterable[Journey], live: Iterable[StoredSegment]) -> list[str]:
    """What uses a segment, in words."""
    by_journeys = sorted({f"journey {journey.name}" for journey in journeys if name in segments_of(journey)})
    return by_journeys + [f"segment {each.name}" for each in live if each.mentions is not None and name in each.mentions.segments]


def compare(written: Iterable[WrittenSegment], live: Sequence[StoredSegment]) -> list[SegmentChange]:
    """Say for each what publishing would change. Segments that are not named are left alone."""
    known = {each.name: each for each in live}
    return [_change(each, known.get(each.name)) for each in written]


def _change(written: WrittenSegment, known: StoredSegment | None) -> SegmentChange:
    after, slow = condition_words(written.condition), costly(written.condition)
    if known is None or isinstance(known.definition, str):
        return SegmentChange(written.name, "new", None, None, after, slow)
    if known.hash == written.hash:
        return SegmentChange(written.name, "same", known.version, after, after, slow)
    return SegmentChange(written.name, "changed", known.version, condition_words(known.definition), after, slow)
