"""When a moment of a journey is: the calendar of a person, and expressions moved by durations. Times out are aware UTC."""

from datetime import date, datetime, time, timedelta, tzinfo
from typing import assert_never

from journeys.language.best_hours import next_best
from journeys.language.conditions import Captured, Device, Entry, LastDid, Location, Prop, Shifted, Timed, TimeExpression, Trait, When
from journeys.language.durations import WEEKDAYS, Ago, Ahead, At, BestTime, Day, Instant, On
from journeys.language.facts import EventFact, Facts
from journeys.language.permitted import clock_of
from journeys.language.reading import value
from journeys.language.steps import Moment
from journeys.language.zones import LAST, instant_of, local_to_utc, shifted, utc_to_local, wall_time, zone_of

__all__ = ["instant", "instant_as_of", "local_to_utc"]

_DAY = timedelta(days=1)


def instant(moment: Moment, facts: Facts, now: datetime) -> datetime | None:
    """Say when a Wait or WaitFor ends. None: the moment is missing or no time (reason `no_moment`); it may also be past.

    `at` and `on` are the next such time after now. `best_time` is now where nothing is known of their hours.
    """
    match moment:
        case At(clock):
            return _next(now, zone_of(facts.timezone), clock_of(clock))
        case On(weekday, clock):
            return _next(now, zone_of(facts.timezone), clock_of(clock), WEEKDAYS.index(weekday))
        case BestTime(within):
            return next_best(facts.best_hours, now, within.timedelta, zone_of(facts.timezone)) if facts.best_hours else now
        case _:
            return instant_as_of(moment, facts, now)


def instant_as_of(moment: When, facts: Facts, at: datetime, event: EventFact | None = None) -> datetime | None:
    """Read the time in a condition, as of `at`. None when it is missing or no time."""
    zone = zone_of(facts.timezone)
    match moment:
        case Instant(point):
            return point
        case Day(day):
            return local_to_utc(datetime.combine(day, time()), zone)
        case Ago(duration):
            return shifted(at, -duration.timedelta)
        case Ahead(duration):
            return shifted(at, duration.timedelta)
        case Shifted(inner, by):
            found = instant_as_of(inner, facts, at, event)
            return None if found is None else shifted(found, by.timedelta)
        case Timed():
            wall = _wall(moment, facts, at, event, zone)
            return None if wall is None else local_to_utc(wall, zone)
        case Trait() | Entry() | Captured() | Prop() | Device() | Location() | LastDid():
            return instant_of(value(moment, facts, at, event), zone)
        case _:
            assert_never(moment)


def _wall(moment: TimeExpression, facts: Facts, at: datetime, event: EventFact | None, zone: tzinfo) -> datetime | None:
    """Under `.at(...)` all arithmetic is that of the wall: seven days before a date are seven dates, summer time or not."""
    match moment:
        case Timed(inner, clock):
            found = _wall(inner, facts, at, event, zone)
            return None if found is None else datetime.combine(found.date(), clock_of(clock))
        case Shifted(inner, by):
            found = _wall(inner, facts, at, event, zone)
            return None if found is None else shifted(found, by.timedelta)
        case _:
            return wall_time(value(moment, facts, at, event), zone)


def _next(now: datetime, zone: tzinfo, clock: time, weekday: int | None = None) -> datetime:
    """The first time after now at which the wall shows this."""
    today = utc_to_local(now, zone).date()
    for ahead in range(-1, 9):
        if today > date.max - _DAY * 9:
            return LAST
        wall = datetime.combine(today + _DAY * ahead, clock)
        if weekday is not None and wall.weekday() != weekday:
            continue
        found = local_to_utc(wall, zone)
        if found > now:
            return found
    raise AssertionError("every week has each day")
