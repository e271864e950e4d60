"""What besides an event can let people into a journey."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field as Bound

from journeys.language.conditions import TimeExpression
from journeys.language.durations import At, Cron, Interval, On, Once
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
    """Everybody of a segment, each time it strikes: in `zone`, else in the zone of each.

    At most `per_second` people a second are let in. Where it strikes while people of the last time are still coming in, it is passed
    over, or waits for them.
    """

    when: Annotated[At | On | Cron | Once | Interval, Bound(discriminator="kind")]
    segment: str
    _: KW_ONLY
    zone: str | None = None
    per_second: int | None = None
    overlap: Literal["skip", "wait"] | None = None
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


def schedule(
    when: At | On | Cron | Once | Interval,
    *,
    segment: str,
    zone: str | None = None,
    per_second: int | None = None,
    overlap: Literal["skip", "wait"] | None = None,
) -> ScheduleEntry:
    """Let in everybody of a segment: `at("09:00")` each day, `on("monday", "09:00")` each week, `cron(...)`, `once(...)`, `every(...)`.

    It strikes in each person's own zone, or for all at once in `zone`.
    """
    return ScheduleEntry(when, segment, zone=zone, per_second=per_second, overlap=overlap)


def date(moment: TimeExpression, *, every: Literal["year"] | None = None) -> DateEntry:
    return DateEntry(moment, every=every)


def requested() -> Requested:
    return Requested()
