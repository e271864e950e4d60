"""At which hour of their day somebody reads: learned from when they opened and clicked, and read by `best_time`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from journeys.language.zones import local_to_utc, utc_to_local

ENOUGH_OF_ONE = 5
"""Readings of one person, below which everybody's hours say more about them than their own."""
ENOUGH_OF_ALL = 200
HALF_AS_MUCH_AFTER = timedelta(days=60)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class BestHours:
    """What each of the 24 hours on the person's wall is worth. `seen` counts readings by hour, as far as somebody wants to be told."""

    worth: tuple[float, ...]
    known_by: Literal["person", "everybody", "assumed"]
    seen: tuple[int, ...] = (0,) * 24


def of_person(read_at: Sequence[datetime], now: datetime, zone: tzinfo) -> BestHours | None:
    """Learn from somebody's own readings, the recent ones more. None: they are too few."""
    if len(read_at) < ENOUGH_OF_ONE:
        return None
    hours = [utc_to_local(each, zone).hour for each in read_at]
    weights = [0.0] * 24
    for hour, at in zip(hours, read_at, strict=True):
        weights[hour] += 0.5 ** (max(now - at, timedelta()) / HALF_AS_MUCH_AFTER)
    return BestHours(_smoothed(weights), "person", tuple(hours.count(hour) for hour in range(24)))


def of_everybody(counted: Sequence[float]) -> BestHours | None:
    """The hours of all people of an app, each on their own wall. None: they are too few."""
    return BestHours(_smoothed(counted), "everybody") if sum(counted) >= ENOUGH_OF_ALL else None


def assumed(hour: int) -> BestHours:
    """What a rehearsal is told."""
    return BestHours(tuple(float(each == hour) for each in range(24)), "assumed")


def next_best(best: BestHours, now: datetime, within: timedelta, zone: tzinfo) -> datetime:
    """The beginning of the best hour within so long; now, when none of them is better than this one."""
    wall = utc_to_local(now, zone)
    began = wall.replace(minute=0, second=0, microsecond=0)
    begins = [local_to_utc(began + _HOUR * ahead, zone) for ahead in range(1, 25)]
    moments = [now, *(each for each in begins if now < each <= now + within)]
    return max(moments, key=lambda each: (best.worth[utc_to_local(each, zone).hour], -each.timestamp()))


def _smoothed(weights: Sequence[float]) -> tuple[float, ...]:
    """A reading at 17:59 speaks for six o'clock too: half of it counts for its hour, a quarter for each beside it."""
    return tuple(weights[hour] / 2 + (weights[hour - 1] + weights[(hour + 1) % 24]) / 4 for hour in range(24))
