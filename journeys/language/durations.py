"""Lengths of time and points of time as an author writes them. Durations are exact; the calendar is `at` and `on`."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, NaiveDatetime
from pydantic import Field as Bound

from journeys.language.nodes import KW_ONLY, Node, node

# More than three centuries either way: far beyond any journey, and no arithmetic on it can leave the years 1 to 9999 by surprise.
_LONGEST_S = 10_000_000_000

ClockTime = Annotated[str, Bound(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: Sequence[Weekday] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@node
class Duration(Node):
    """Whole seconds; a day is always 24 hours."""

    seconds: Annotated[int, Bound(ge=-_LONGEST_S, le=_LONGEST_S)]
    _: KW_ONLY
    kind: Literal["duration"] = "duration"

    @property
    def timedelta(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    def __neg__(self) -> "Duration":
        return Duration(-self.seconds)

    def __add__(self, other: "Duration") -> "Duration":
        return Duration(self.seconds + other.seconds)

    def __sub__(self, other: "Duration") -> "Duration":
        return Duration(self.seconds - other.seconds)


def seconds(count: float) -> Duration:
    return Duration(round(count))


def minutes(count: float) -> Duration:
    return Duration(round(count * 60))


def hours(count: float) -> Duration:
    return Duration(round(count * 3600))


def days(count: float) -> Duration:
    """24 hours each: across a change to summer time the clock on the wall shows another hour. Use `at` for the calendar."""
    return Duration(round(count * 86400))


def weeks(count: float) -> Duration:
    return Duration(round(count * 604800))


@node
class Always(Node):
    """As `again_after`: whenever no enrollment is open."""

    _: KW_ONLY
    kind: Literal["always"] = "always"


ALWAYS = Always()


@node
class Instant(Node):
    """One point of time, kept in UTC."""

    at: Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]
    _: KW_ONLY
    kind: Literal["instant"] = "instant"


@node
class Day(Node):
    """Midnight at the beginning of a date, in the person's zone."""

    on: date
    _: KW_ONLY
    kind: Literal["day"] = "day"


@node
class Ago(Node):
    """So long before the moment as of which the condition is read."""

    duration: Duration
    _: KW_ONLY
    kind: Literal["ago"] = "ago"


@node
class Ahead(Node):
    """So long after the moment as of which the condition is read."""

    duration: Duration
    _: KW_ONLY
    kind: Literal["ahead"] = "ahead"


@node
class At(Node):
    """The next time a clock on the person's wall shows this."""

    time: ClockTime
    _: KW_ONLY
    kind: Literal["at"] = "at"


@node
class On(Node):
    """The next such weekday and time on the person's wall."""

    weekday: Weekday
    time: ClockTime
    _: KW_ONLY
    kind: Literal["on"] = "on"


@node
class BestTime(Node):
    """The beginning of the hour at which this person reads most, within so long; else at which everybody does, else now."""

    within: Duration
    _: KW_ONLY
    kind: Literal["best_time"] = "best_time"


@node
class Cron(Node):
    """Minute, hour, day of the month, month and weekday, as cron writes them."""

    expression: str
    _: KW_ONLY
    kind: Literal["cron"] = "cron"


@node
class Once(Node):
    """One time on a wall."""

    at: NaiveDatetime
    _: KW_ONLY
    kind: Literal["once"] = "once"


@node
class Interval(Node):
    """Again and again after so long, counted from 1970-01-01T00:00Z."""

    every: Duration
    _: KW_ONLY
    kind: Literal["interval"] = "interval"


def ago(duration: Duration) -> Ago:
    return Ago(duration)


def ahead(duration: Duration) -> Ahead:
    return Ahead(duration)


def at(time: str) -> At:
    return At(time)


def on(weekday: Weekday, time: str) -> On:
    return On(weekday, time)


def best_time(*, within: Duration) -> BestTime:
    return BestTime(within)


def cron(expression: str) -> Cron:
    """As a schedule: `cron("0 9 * * 1")` is Mondays at 09:00."""
    return Cron(expression)


def once(at: str) -> Once:
    """As a schedule: a date and a time without an offset, such as `once("2026-12-01T09:00")`."""
    return Once(datetime.fromisoformat(at))


def every(duration: Duration) -> Interval:
    """As a schedule: exactly so long apart, whatever clocks show."""
    return Interval(duration)


def literal_time(value: datetime | date) -> Instant | Day:
    """Tag a date or an instant of Python, so that it does not come back from JSON as text."""
    return Instant(value) if isinstance(value, datetime) else Day(value)
