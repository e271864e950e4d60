"""What besides an event can let people into a journey."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field as Bound

from journeys.language.conditions import TimeExpression
from journeys.language.durations import At, On
from journeys.language.events import Events
from journeys.language.nodes import KW_ONLY, Node, node


@node
class SegmentEntry(Node):
    """Users who come into the segment from now on."""

    segment: str
    _: KW_ONLY
    kind: Literal["segment"] = "segment"


@node
class ScheduleEntry(Node):
    """Everybody of a segment, each time it strikes in their zone."""

    when: Annotated[At | On, Bound(discriminator="kind")]
    segment: str
    _: KW_ONLY
    kind: Literal["schedule"] = "schedule"


@node
class DateEntry(Node):
    """Each user at a moment of their own, once or every year."""

    moment: TimeExpression
    _: KW_ONLY
    every: Literal["year"] | None = None
    kind: Literal["date"] = "date"


@node
class Requested(Node):
    """Only by the API."""

    _: KW_ONLY
    kind: Literal["requested"] = "requested"


WayIn: TypeAlias = Annotated[Events | SegmentEntry | ScheduleEntry | DateEntry | Requested, Bound(discriminator="kind")]


def segment(name: str) -> SegmentEntry:
    return SegmentEntry(name)


def schedule(when: At | On, *, segment: str) -> ScheduleEntry:
    """Let in everybody of a segment at `at("09:00")` each day or `on("monday", "09:00")` each week."""
    return ScheduleEntry(when, segment)


def date(moment: TimeExpression, *, every: Literal["year"] | None = None) -> DateEntry:
    return DateEntry(moment, every=every)


def requested() -> Requested:
    return Requested()
