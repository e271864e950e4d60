"""When schedule(...) strikes, in one zone. Pure: no clock."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import assert_never

from journeys.language.cron_fields import fields_of
from journeys.language.durations import WEEKDAYS, At, Cron, Interval, On, Once
from journeys.language.permitted import clock_of
from journeys.language.zones import all_zones, local_to_utc, utc_to_local, zone_of

Schedule = At | On | Cron | Once | Interval
_DAY = timedelta(days=1)
_LOOK = timedelta(hours=12)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# 29 February on a named weekday comes every 28 years, and not in 2100.
_LONGEST = timedelta(days=366 * 41)


def last_strike(schedule: Schedule, zone: tzinfo, after: datetime, until: datetime) -> datetime | None:
    """The last time that it strikes later than `after` and not later than `until`, or None.

    A time on the wall that does not exist strikes when the clocks have gone forward, one that comes twice strikes the first time.
    """
    if isinstance(schedule, Interval):
        found = _multiple(schedule, until)
        return found if found > after else None
    day, first = utc_to_local(until, zone).date() + _DAY, utc_to_local(after, zone).date() - _DAY
    while day >= first:
        if struck := [each for each in _of_two_days(schedule, zone, day - _DAY) if after < each <= until]:
            return max(struck)
        day -= _DAY
    return None


def next_strike(schedule: Schedule, zone: tzinfo, after: datetime) -> datetime | None:
    """The first time that it strikes later than `after`, or None: never again."""
    if isinstance(schedule, Interval):
        return _multiple(schedule, after) + schedule.every.timedelta
    day = utc_to_local(after, zone).date() - _DAY
    last = schedule.at.date() + _DAY if isinstance(schedule, Once) else day + _LONGEST
    while day <= last:
        if coming := [each for each in _of_two_days(schedule, zone, day) if each > after]:
            return min(coming)
        day += _DAY
    return None


def _multiple(interval: Interval, until: datetime) -> datetime:
    return until - (until - _EPOCH) % interval.every.timedelta


def struck_zones(schedule: Schedule, after: datetime, until: datetime) -> Mapping[datetime, Sequence[str]]:
    """In which zones it struck last within the time, by when. Zones that agree on every clock of the time are asked once."""
    alike: defaultdict[tuple[timedelta | None, ...], list[str]] = defaultdict(list)
    looks = math.ceil((until - after) / _LOOK) + 5
    for name in all_zones():
        zone = zone_of(name)
        alike[tuple((after + _LOOK * (look - 2)).astimezone(zone).utcoffset() for look in range(looks))].append(name)
    struck: defaultdict[datetime, list[str]] = defaultdict(list)
    for names in alike.values():
        found = last_strike(schedule, zone_of(names[0]), after, until)
        if found is not None:
            struck[found] += names
    return {moment: sorted(names) for moment, names in sorted(struck.items())}


def _of_two_days(schedule: At | On | Cron | Once, zone: tzinfo, day: date) -> Iterator[datetime]:
    """When it strikes on a day of the wall and the next: a time that does not exist may move into the day after."""
    for each in (day, day + _DAY):
        for clock in _clocks(schedule, each):
            yield local_to_utc(datetime.combine(each, clock), zone)


def _clocks(schedule: At | On | Cron | Once, day: date) -> Sequence[time]:
    match schedule:
        case At(clock):
            return (clock_of(clock),)
        case On(weekday, clock):
            return (clock_of(clock),) if day.weekday() == WEEKDAYS.index(weekday) else ()
        case Once(at):
            return (at.time(),) if day == at.date() else ()
        case Cron(expression):
            fields = fields_of(expression)
            return tuple(fields.clocks()) if fields.has_day(day) else ()
        case _:
            assert_never(schedule)
