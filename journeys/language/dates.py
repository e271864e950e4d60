"""When date(...) lets somebody in. storage/due_dates.py is the other reader, for everybody at once; they agree."""

import calendar
from dataclasses import replace
from datetime import MAXYEAR, datetime

from journeys.language.conditions import ExpressionNode, Location, Shifted, Timed, TimeExpression, Trait
from journeys.language.entries import DateEntry
from journeys.language.facts import Facts
from journeys.language.moments import instant_as_of
from journeys.language.reading import LOCATION, value
from journeys.language.zones import wall_time, zone_of

_MOVED = "$moved"
# The last day of a year with a shift of days may lie in another year, and so may the wall of somebody far from UTC.
_AROUND = range(-2, 3)


def followed_attribute(entry: DateEntry) -> str | None:
    """The attribute whose changes move the moment: the first key of what it reads. None: it reads what is not followed."""
    match _read(entry.moment):
        case Trait(path):
            return path.split(".", 1)[0]
        case Location():
            return LOCATION
        case _:
            return None


def due(entry: DateEntry, facts: Facts, after: datetime) -> datetime | None:
    """The first moment after `after` at which they enter, or None. A moment that is missing or no time is none.

    Every year: the date that is read moves by whole years on the person's wall, and then the rest is reckoned from it. 29 February is
    the 28th in other years.
    """
    if entry.every is None:
        found = instant_as_of(entry.moment, facts, after)
        return found if found is not None and found > after else None
    return min((each for each in _anniversaries(entry.moment, facts, after) if each > after), default=None)


def _anniversaries(moment: TimeExpression, facts: Facts, near: datetime) -> list[datetime]:
    wall = wall_time(value(_read(moment), facts, near), zone_of(facts.timezone))
    first = None if wall is None else _moved(moment, facts, wall, 0, near)
    if wall is None or first is None:
        return []
    years = {max(0, near.year - first.year + each) for each in _AROUND}
    found = [_moved(moment, facts, wall, each, near) for each in years if wall.year + each <= MAXYEAR]
    return [each for each in found if each is not None]


def _read(moment: TimeExpression) -> ExpressionNode:
    match moment:
        case Shifted(inner, _) | Timed(inner, _):
            return _read(inner)
        case _:
            return moment


def _moved(moment: TimeExpression, facts: Facts, wall: datetime, years: int, near: datetime) -> datetime | None:
    year = wall.year + years
    day = min(wall.day, calendar.monthrange(year, wall.month)[1])
    anniversary = wall.replace(year=year, day=day).isoformat()
    return instant_as_of(_of_moved(moment), replace(facts, attributes={**facts.attributes, _MOVED: anniversary}), near)


def _of_moved(moment: TimeExpression) -> TimeExpression:
    match moment:
        case Shifted(inner, by):
            return Shifted(_of_moved(inner), by)
        case Timed(inner, clock):
            return Timed(_of_moved(inner), clock)
        case _:
            return Trait(_MOVED)
