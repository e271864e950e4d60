"""Times on a person's wall: texts read as times, zones, and the two hours of the year that do not exist or come twice.

The only module of the language that reads zone data.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)

_ISO = re.compile(
    r"((?:1[6-9]|[2-9][0-9])[0-9]{2})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(?:([Zz])|([+-])(0[0-9]|1[0-4]):?([0-5][0-9]))?)?",
)


@lru_cache(maxsize=1024)
def zone_of(name: str | None) -> tzinfo:
    """Find the IANA zone of a person; UTC for none or an unknown one."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC


def is_zone(name: str) -> bool:
    """Whether the zone data knows it by this name."""
    return name in all_zones()


@lru_cache(maxsize=1)
def all_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def local_to_utc(naive: datetime, zone: tzinfo) -> datetime:
    """Read a time on the wall: one that does not exist moves forward by the gap, an ambiguous one is the first."""
    try:
        return naive.replace(tzinfo=zone, fold=0).astimezone(UTC)
    except OverflowError:
        return LAST if naive.year > 1 else FIRST


def second_local_to_utc(naive: datetime, zone: tzinfo) -> datetime:
    """Read a time on the wall that comes twice as the second; any other as `local_to_utc` does."""
    first = local_to_utc(naive, zone)
    second = naive.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return max(first, second)


def utc_to_local(instant: datetime, zone: tzinfo) -> datetime:
    """Show an instant as a naive time on the wall."""
    try:
        return instant.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        return instant.replace(tzinfo=None)


def shifted(moment: datetime, by: timedelta) -> datetime:
    """Add a duration; what would leave the years 1 to 9999 stays at their edge."""
    try:
        return moment + by
    except OverflowError:
        edge = LAST if by > timedelta(0) else FIRST
        return edge.replace(tzinfo=moment.tzinfo)


def period_began(period: Literal["day", "week", "month"], now: datetime, zone: tzinfo) -> datetime:
    """The instant at which the person's calendar day, week (on Monday) or month began."""
    midnight = utc_to_local(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "day":
            began = midnight
        case "week":
            began = shifted(midnight, -timedelta(days=midnight.weekday()))
        case "month":
            began = midnight.replace(day=1)
    return local_to_utc(began, zone)


def wall_time(value: Any, zone: tzinfo) -> datetime | None:
    """Read a value as a naive time on the person's wall; a date alone is its midnight. None when it is no time."""
    found = _read(value)
    if found is None:
        return None
    return found if found.tzinfo is None else utc_to_local(found, zone)


def instant_of(value: Any, zone: tzinfo) -> datetime | None:
    """Read a value as an instant in UTC: an aware datetime, or ISO 8601 text of the years 1600 to 9999.

    Without an offset it is a time on the person's wall. Anything else, numbers included, is no time: None.
    """
    found = _read(value)
    if found is None:
        return None
    return local_to_utc(found, zone) if found.tzinfo is None else found


def _read(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value
    matched = _ISO.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        return None
    year, month, day, hour, minute, second, fraction, zulu, sign, offset_hours, offset_minutes = matched.groups()
    try:
        naive = datetime(  # noqa: DTZ001 - a time on a wall has no zone yet
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "")[:6].ljust(6, "0"))
        )
    except ValueError:
        return None
    if zulu:
        return naive.replace(tzinfo=UTC)
    if sign is None:
        return naive
    return _with_offset(naive, timedelta(hours=int(offset_hours), minutes=int(offset_minutes)) * (1 if sign == "+" else -1))


def _with_offset(naive: datetime, offset: timedelta) -> datetime:
    try:
        return naive.replace(tzinfo=timezone(offset)).astimezone(UTC)
    except OverflowError:
        return LAST
