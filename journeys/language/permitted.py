"""When a message may leave by the clock on the person's wall: quiet hours and send windows together, on any day that clocks change.

A moment is judged by what the wall shows then. So the earliest permitted moment is one at which the wall comes to the end of quiet
hours, to the opening of a window or to a new day, or one at which the clocks change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Literal

from journeys.language.durations import WEEKDAYS
from journeys.language.messages import QuietHours, SendWindow
from journeys.language.zones import LAST, local_to_utc, second_local_to_utc, utc_to_local

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
_MONDAY = datetime(2026, 3, 2)  # noqa: DTZ001 - some week on a wall
# A week, and what a change of clocks can put off by a day.
_DAYS_AHEAD = 9

Code = Literal["quiet_hours", "outside_window"]


@dataclass(frozen=True)
class Hours:
    """All that limits the hours of one message; each of them must permit it."""

    quiet: Sequence[QuietHours] = ()
    windows: Sequence[SendWindow] = ()


ANY_HOUR = Hours()


def closed_by(hours: Hours, now: datetime, zone: tzinfo) -> tuple[Code, QuietHours | SendWindow] | None:
    """What stands against `now`, if anything: what drops the message before what only puts it off."""
    wall = utc_to_local(now, zone)
    quiet = [("quiet_hours", each) for each in hours.quiet if _is_quiet(each, wall)]
    shut = [("outside_window", each) for each in hours.windows if not _is_open(each, wall)]
    against: list[tuple[Code, QuietHours | SendWindow]] = [*quiet, *shut]  # type: ignore[list-item]
    return next((each for each in against if each[1].then == "skip"), against[0] if against else None)


def next_permitted(hours: Hours, now: datetime, zone: tzinfo) -> datetime | None:
    """The earliest permitted moment, `now` itself if it is one. None: these hours leave none in a whole week."""
    if _permit(hours, now, zone):
        return now
    if LAST - now < _DAY * (_DAYS_AHEAD + 1):
        return LAST
    moments = sorted(each for each in _turns(hours, now, zone) if each > now)
    return next((each for each in moments if _permit(hours, each, zone)), None)


def leave_none(hours: Hours) -> bool:
    """Whether these hours permit no moment of an ordinary week."""
    days = (_MONDAY + _DAY * each for each in range(7))
    walls = (datetime.combine(day, clock) for day in days for clock in _clocks(hours))
    return not any(_is_permitted_on(hours, wall) for wall in walls)


def length_of(quiet: QuietHours) -> timedelta:
    """How long quiet hours last on an ordinary day."""
    start, end = (datetime.combine(_MONDAY, clock_of(text)) for text in (quiet.start, quiet.end))
    return (end - start) % _DAY


def clock_of(text: str) -> time:
    return time(int(text[:2]), int(text[3:]))


def _permit(hours: Hours, moment: datetime, zone: tzinfo) -> bool:
    return _is_permitted_on(hours, utc_to_local(moment, zone))


def _is_permitted_on(hours: Hours, wall: datetime) -> bool:
    return not any(_is_quiet(each, wall) for each in hours.quiet) and all(_is_open(each, wall) for each in hours.windows)


def _is_quiet(quiet: QuietHours, wall: datetime) -> bool:
    start, end, clock = clock_of(quiet.start), clock_of(quiet.end), wall.time()
    return start <= clock < end if start <= end else clock >= start or clock < end


def _is_open(window: SendWindow, wall: datetime) -> bool:
    start, end, clock = clock_of(window.start), clock_of(window.end), wall.time()
    if start == end:
        return _is_among(window, wall)
    if start < end:
        return start <= clock < end and _is_among(window, wall)
    return (clock >= start and _is_among(window, wall)) or (clock < end and _is_among(window, wall - _DAY))


def _is_among(window: SendWindow, day: datetime) -> bool:
    return window.days is None or WEEKDAYS[day.weekday()] in window.days


def _clocks(hours: Hours) -> list[time]:
    """The times of day at which it may begin to be permitted."""
    return [time(), *(clock_of(each.end) for each in hours.quiet), *(clock_of(each.start) for each in hours.windows)]


def _turns(hours: Hours, now: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Every moment of the coming days at which it may begin to be permitted, and a few before."""
    today = utc_to_local(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    for ahead in range(-1, _DAYS_AHEAD):
        for clock in _clocks(hours):
            wall = datetime.combine(today + _DAY * ahead, clock)
            yield local_to_utc(wall, zone)
            yield second_local_to_utc(wall, zone)
        change = _change_of_clocks(now + _DAY * ahead, now + _DAY * (ahead + 1), zone)
        if change is not None:
            yield change


def _change_of_clocks(since: datetime, until: datetime, zone: tzinfo) -> datetime | None:
    """The moment at which the clocks change, to the minute, if they do in between."""
    since, until = (each.replace(second=0, microsecond=0) for each in (since, until))
    before = since.astimezone(zone).utcoffset()
    if until.astimezone(zone).utcoffset() == before:
        return None
    while until - since > _MINUTE:
        middle = since + (until - since) // _MINUTE // 2 * _MINUTE
        since, until = (middle, until) if middle.astimezone(zone).utcoffset() == before else (since, middle)
    return until
