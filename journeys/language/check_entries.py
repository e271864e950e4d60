"""What can be wrong with a way in that time opens: date(...) and schedule(...)."""

from collections.abc import Iterator

from journeys.language.conditions import Device, LastDid
from journeys.language.cron_fields import NoCron, fields_of
from journeys.language.durations import Cron, Interval, Once
from journeys.language.entries import DateEntry, ScheduleEntry, WayIn
from journeys.language.errors import Problem
from journeys.language.findings import Place
from journeys.language.walk import nodes_in
from journeys.language.zones import is_zone

SHORTEST_S = 60
MOST_A_DAY = 96
FASTEST = 1000


def time_problems(start: WayIn, place: Place) -> Iterator[Problem]:
    match start:
        case DateEntry():
            if any(isinstance(each, (Device, LastDid)) for each in nodes_in(start)):
                yield place.problem(
                    "date_not_followed", "date(...) follows what a person's attributes say: read trait(...) or location(...)"
                )
        case ScheduleEntry():
            yield from _schedule(start, place)
        case _:
            return


def _schedule(start: ScheduleEntry, place: Place) -> Iterator[Problem]:
    match start.when:
        case Cron(expression):
            yield from _cron(expression, start.zone, place)
        case Once(at) if at.second or at.microsecond:
            yield place.problem("once_with_seconds", "once(...) is of a minute: leave the seconds out")
        case Interval(every) if every.seconds < SHORTEST_S:
            yield place.problem("interval_too_short", "every(...) is a minute or longer: write minutes(1) or more, or start on event(...)")
        case Interval() if start.zone is not None:
            yield place.problem("interval_in_zone", "every(...) is exact and asks no clock: leave zone= out, or write at(...) or cron(...)")
        case _:
            pass
    if start.zone is not None and not is_zone(start.zone):
        yield place.problem("zone_unknown", f"there is no zone {start.zone}: write its IANA name, such as Europe/Berlin")
    if start.per_second is not None and not 1 <= start.per_second <= FASTEST:
        yield place.problem(
            "per_second_bounds", f"per_second= is from 1 to {FASTEST} people a second: write a number between, or leave it out"
        )


def _cron(expression: str, zone: str | None, place: Place) -> Iterator[Problem]:
    try:
        fields = fields_of(expression)
    except NoCron as why:
        yield place.problem("cron_not_read", f'cron("{expression}") cannot be read: {why}')
        return
    if fields.never_come():
        yield place.problem("cron_never", f'cron("{expression}") names days that no month has: name one that comes')
    if zone is None and len(fields.hours) * len(fields.minutes) > MOST_A_DAY:
        yield place.problem(
            "cron_too_often",
            f"in the zone of each, cron strikes at most {MOST_A_DAY} times a day: write zone=, or every(...), or fewer times",
        )
