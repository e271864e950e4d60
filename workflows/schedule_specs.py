"""When Temporal wakes a schedule. It may be too often: what struck is decided when it is awake (activities/schedules.py)."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from temporalio.client import ScheduleCalendarSpec, ScheduleIntervalSpec, ScheduleRange, ScheduleSpec

from journeys.language.cron_fields import fields_of
from journeys.language.durations import WEEKDAYS, At, Cron, Interval, On, Once
from journeys.language.entries import ScheduleEntry
from journeys.language.permitted import clock_of

# All zones of today are whole quarters of an hour away from UTC, from 12 hours behind to 14 ahead.
_QUARTER = 15
_EVERY_HOUR = (ScheduleRange(0, 23),)
_MAY_BE_LAST = (28, 29, 30, 31)
_AROUND_THE_WORLD = timedelta(hours=15)


def spec_of(entry: ScheduleEntry) -> ScheduleSpec:
    """In one zone the times themselves; in the zone of each, every time at which some zone's clocks may show them."""
    if isinstance(entry.when, Interval):
        return ScheduleSpec(intervals=[ScheduleIntervalSpec(every=entry.when.every.timedelta)])
    if entry.zone is not None:
        return ScheduleSpec(calendars=_calendars(entry.when), time_zone_name=entry.zone)
    spec = ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=_EVERY_HOUR, minute=_ranges(_quarters(_minutes(entry.when))))])
    if isinstance(entry.when, Once):
        about = entry.when.at.replace(tzinfo=UTC)
        spec.start_at, spec.end_at = about - _AROUND_THE_WORLD, about + _AROUND_THE_WORLD
    return spec


def _calendars(when: At | On | Cron | Once) -> Sequence[ScheduleCalendarSpec]:
    match when:
        case At(text):
            clock = clock_of(text)
            return [ScheduleCalendarSpec(hour=_ranges([clock.hour]), minute=_ranges([clock.minute]))]
        case On(weekday, text):
            clock, day = clock_of(text), (WEEKDAYS.index(weekday) + 1) % 7
            return [ScheduleCalendarSpec(hour=_ranges([clock.hour]), minute=_ranges([clock.minute]), day_of_week=_ranges([day]))]
        case Once(at):
            return [_once(at)]
        case Cron(expression):
            return _of_cron(expression)


def _once(at: datetime) -> ScheduleCalendarSpec:
    return ScheduleCalendarSpec(
        year=_ranges([at.year]),
        month=_ranges([at.month]),
        day_of_month=_ranges([at.day]),
        hour=_ranges([at.hour]),
        minute=_ranges([at.minute]),
    )


def _of_cron(expression: str) -> Sequence[ScheduleCalendarSpec]:
    """Two calendars where cron means days or weekdays: Temporal takes what any of them names."""
    fields = fields_of(expression)
    # A calendar of Temporal's has no last day of the month: it wakes on every day that may be one.
    days = _ranges(sorted({*fields.days, *(_MAY_BE_LAST if fields.has_last_day else ())}))
    weekdays = _ranges(fields.weekdays)
    at = partial(ScheduleCalendarSpec, hour=_ranges(fields.hours), minute=_ranges(fields.minutes), month=_ranges(fields.months))
    if fields.is_any_day or fields.is_any_weekday:
        return [at(day_of_month=days, day_of_week=weekdays)]
    return [at(day_of_month=days), at(day_of_week=weekdays)]


def _minutes(when: At | On | Cron | Once) -> Sequence[int]:
    match when:
        case At(text) | On(_, text):
            return [clock_of(text).minute]
        case Once(at):
            return [at.minute]
        case Cron(expression):
            return fields_of(expression).minutes


def _quarters(minutes: Iterable[int]) -> Sequence[int]:
    return sorted({(minute + shift) % 60 for minute in minutes for shift in range(0, 60, _QUARTER)})


def _ranges(numbers: Iterable[int]) -> Sequence[ScheduleRange]:
    return [ScheduleRange(each) for each in numbers]
