"""When a campaign begins: once or again and again, at a time of one zone's clock or of everybody's own. Pure, without a clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import Field as Bound

from journeys.language.cron_fields import fields_of
from journeys.language.durations import Weekday
from journeys.language.nodes import KW_ONLY, Node, node
from journeys.language.zones import local_to_utc, utc_to_local, zone_of

LocalTime = Annotated[str, Bound(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A time on a wall, such as 2026-12-01T09:00."""

FIRST_ZONE = timedelta(hours=14)
"""So far is the first zone of the day (Kiritimati) ahead of UTC."""
LAST_ZONE = timedelta(hours=-12)
_LONGEST_GAP = timedelta(hours=3)
_LOOKED_AHEAD_DAYS = 366 * 8 + 2


@node
class Once(Node):
    """At one time of a zone's clock; when it is `local`, of everybody's own."""

    at: LocalTime
    _: KW_ONLY
    zone: str = "UTC"
    local: bool = False
    kind: Literal["once"] = "once"


@node
class Recurring(Node):
    """Whenever the five fields of cron match a zone's clock, or everybody's own; from one date and to another, both included."""

    cron: str
    _: KW_ONLY
    zone: str = "UTC"
    local: bool = False
    first: date | None = None
    last: date | None = None
    kind: Literal["recurring"] = "recurring"


AtTimes: TypeAlias = Annotated[Once | Recurring, Bound(discriminator="kind")]


def once(at: str, *, zone: str = "UTC", local: bool = False) -> Once:
    """At `"2026-12-01T09:00"` in a zone; with `local=True` at that time of everybody's own clock."""
    return Once(at, zone=zone, local=local)


def cron(fields: str, *, zone: str = "UTC", local: bool = False, first: date | None = None, last: date | None = None) -> Recurring:
    """Minute, hour, day of the month, month, weekday: `"0 9 * * mon-fri"`; L is the last day of the month."""
    return Recurring(fields, zone=zone, local=local, first=first, last=last)


def daily(time: str, *, zone: str = "UTC", local: bool = False, first: date | None = None, last: date | None = None) -> Recurring:
    """Every day at `"09:00"`."""
    return Recurring(f"{_at(time)} * * *", zone=zone, local=local, first=first, last=last)


def weekly(
    weekday: Weekday, time: str, *, zone: str = "UTC", local: bool = False, first: date | None = None, last: date | None = None
) -> Recurring:
    """Every week on `"monday"` at `"09:00"`."""
    return Recurring(f"{_at(time)} * * {weekday[:3]}", zone=zone, local=local, first=first, last=last)


def monthly(
    day: int | Literal["last"],
    time: str,
    *,
    zone: str = "UTC",
    local: bool = False,
    first: date | None = None,
    last: date | None = None,
) -> Recurring:
    """Every month on its day `1` or its `"last"` at `"09:00"`."""
    return Recurring(f"{_at(time)} {'L' if day == 'last' else day} * *", zone=zone, local=local, first=first, last=last)


def _at(time: str) -> str:
    """Minute and hour as cron has them."""
    hour, _, minute = time.partition(":")
    return f"{minute.removeprefix('0') or '0'} {hour.removeprefix('0') or '0'}"


@dataclass(frozen=True)
class Strike:
    """A run begins at `at`. `local_at`: and writes to each person when their own clock shows that."""

    at: datetime
    local_at: str | None = None


def next_strike(when: AtTimes, after: datetime) -> Strike | None:
    """The first beginning later than `after`; None: there is none any more."""
    return next((strike for strike in _strikes(when, after) if strike.at > after), None)


def first_strike(when: AtTimes, now: datetime) -> Strike | None:
    """The beginning of what is launched now. One at everybody's local time may begin late, until its time is past in the last zone."""
    if isinstance(when, Once) and when.local and _wall(when.at).replace(tzinfo=UTC) - LAST_ZONE > now:
        return Strike(max(now, _begins(when, _wall(when.at))), when.at)
    return next_strike(when, now)


def _strikes(when: AtTimes, after: datetime) -> Iterator[Strike]:
    for wall in [_wall(when.at)] if isinstance(when, Once) else _walls(when, after):
        yield Strike(_begins(when, wall), wall.isoformat(timespec="minutes") if when.local else None)


def _begins(when: AtTimes, wall: datetime) -> datetime:
    return wall.replace(tzinfo=UTC) - FIRST_ZONE if when.local else local_to_utc(wall, zone_of(when.zone))


def _walls(when: Recurring, after: datetime) -> Iterator[datetime]:
    """Times on the wall at which it strikes, from a little before `after` on: one in the gap of summer time strikes after the gap."""
    fields = fields_of(when.cron)
    start = after.replace(tzinfo=None) + FIRST_ZONE if when.local else utc_to_local(after, zone_of(when.zone)) - _LONGEST_GAP
    for days in range(_LOOKED_AHEAD_DAYS):
        day = start.date() + timedelta(days=days)
        if when.last is not None and day > when.last:
            return
        if fields.has_day(day) and (when.first is None or day >= when.first):
            yield from (wall for clock in fields.clocks() if (wall := datetime.combine(day, clock)) >= start)


def _wall(at: str) -> datetime:
    return datetime.fromisoformat(at)
