"""What cron writes: five fields, each a set of numbers. The one reading of it, for schedules of journeys and for campaigns.

Numbers, names, lists, ranges and steps; L is the last day of the month; a step without a range (5/10) goes on to the field's end.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from functools import lru_cache

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:(\*)|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?")
_LAST_DAY = "l"
_SUNDAY = 7
_DAY = timedelta(days=1)
# Four years have every date that there is, 29 February too.
_ALL_DATES = 366 * 4


class NoCron(ValueError):
    """The text is no cron expression; says why, as the rest of a sentence."""


@dataclass(frozen=True)
class Fields:
    """The numbers of each field. Weekdays count from 0, Sunday. `has_last_day`: also on the last day of a month, whichever it is."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    is_any_day: bool
    is_any_weekday: bool
    has_last_day: bool = False

    def has_day(self, day: date) -> bool:
        """As cron has it: where days and weekdays are both named, either is enough."""
        if day.month not in self.months:
            return False
        is_last = self.has_last_day and (day + _DAY).day == 1
        by_day, by_weekday = day.day in self.days or is_last, day.isoweekday() % 7 in self.weekdays
        return by_day and by_weekday if self.is_any_day or self.is_any_weekday else by_day or by_weekday

    def clocks(self) -> Iterator[time]:
        """The times of each of its days, in their order."""
        for hour in self.hours:
            for minute in self.minutes:
                yield time(hour, minute)

    def never_come(self) -> bool:
        """Whether no calendar has such a day, as 30 February."""
        day = date(2000, 1, 1)
        return not any(self.has_day(day + _DAY * each) for each in range(_ALL_DATES))


@lru_cache(maxsize=512)
def fields_of(expression: str) -> Fields:
    """Read an expression. Raises NoCron."""
    texts = expression.lower().split()
    if len(texts) != 5:
        raise NoCron(f"it has {len(texts)} fields and not five: minute, hour, day of the month, month, weekday")
    minutes, hours, days, months, weekdays = texts
    numbered = [part for part in days.split(",") if part != _LAST_DAY]
    return Fields(
        _numbers("minute", minutes, 0, 59),
        _numbers("hour", hours, 0, 23),
        _numbers("day of the month", ",".join(numbered), 1, 31) if numbered else (),
        _numbers("month", months, 1, 12, _MONTHS, 1),
        tuple(sorted({each % _SUNDAY for each in _numbers("weekday", weekdays, 0, _SUNDAY, _DAYS)})),
        days == "*",
        weekdays == "*",
        has_last_day=len(numbered) < len(days.split(",")),
    )


def _numbers(name: str, text: str, low: int, high: int, words: Sequence[str] = (), first: int = 0) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        matched = _PART.fullmatch(part)
        if matched is None:
            raise NoCron(f"the {name} is no number, range, list or step")
        every, start, end, step = matched.groups()
        begin = low if every else _number(name, start, words, first)
        until = _number(name, end, words, first) if end else high if every or step else begin
        if end == "sun" and until < begin:
            until = _SUNDAY
        if not low <= begin <= until <= high or (step and int(step) < 1):
            raise NoCron(f"the {name} goes from {low} to {high}, upwards")
        found.update(range(begin, until + 1, int(step or 1)))
    return tuple(sorted(found))


def _number(name: str, text: str, words: Sequence[str], first: int) -> int:
    if text.isdigit():
        return int(text)
    if text not in words:
        raise NoCron(f"the {name} is no number, range, list or step")
    return words.index(text) + first
