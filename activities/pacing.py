"""When the next messages may leave through an account: virtual scheduling (GCRA, ITU-T I.371), pure.

Each message gets a slot of its own, now or later, so nobody has to ask again and a crowd does not come back at once. A slot that its
message does not use in time is lost. Marketing gets at most four fifths of the rate and of the day; what is transactional has the rest, and
all of it while no marketing has a slot to come.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

FOR_MARKETING = 0.8
SLOWEST = 0.05
RECOVERS_IN_S = 120.0
SLOT_LASTS = timedelta(seconds=10)
"""After a pause or an outage of ours all that had slots meanwhile would leave at once: who comes later than this asks again."""
_ONCE_A = timedelta(seconds=1)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Limits:
    """How fast an account may be used; None: no limit. `burst` may leave at once after a pause."""

    per_second: float | None = None
    burst: int | None = None
    max_per_day: int | None = None

    @property
    def is_unbounded(self) -> bool:
        return self.per_second is None and self.max_per_day is None

    @property
    def at_once(self) -> int:
        return self.burst or max(1, round((self.per_second or 0) / 10))


@dataclass(frozen=True)
class Pace:
    """What is given away already, as every worker sees it."""

    closed_until: datetime | None = None
    taken_until: datetime | None = None
    full_until: datetime | None = None
    marketing_until: datetime | None = None
    pace: float = 1.0
    slowed_at: datetime | None = None
    day: date | None = None
    taken_today: int = 0


@dataclass(frozen=True)
class Slots:
    """The slots in order. Fewer than were asked for: the day's messages are used up, and the rest may come after `not_before`."""

    transactional: tuple[datetime, ...]
    marketing: tuple[datetime, ...]
    not_before: datetime


def take(pace: Pace, limits: Limits, transactional: int, marketing: int, now: datetime) -> tuple[Pace, Slots]:
    """Give slots away, to transactional messages first."""
    day = now.astimezone(UTC).date()
    used = pace.taken_today if pace.day == day else 0
    first = _left_of_day(limits.max_per_day, used, transactional)
    second = _left_of_day(_marketings_part(limits.max_per_day), used + first, marketing)
    moved, soon = _transactional(pace, limits, first, now)
    moved, later = _marketing(moved, limits, second, now)
    moved = replace(moved, day=day, taken_today=used + first + second)
    midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
    return moved, Slots(tuple(soon), tuple(later), midnight)


def slowed(pace: Pace, now: datetime) -> Pace:
    """The provider throttles: half the speed, once a second however many answers say so."""
    if pace.slowed_at is not None and now - pace.slowed_at < _ONCE_A:
        return pace
    return replace(pace, pace=max(SLOWEST, speed(pace, now) / 2), slowed_at=now)


def speed(pace: Pace, now: datetime) -> float:
    """The part of the rate that is used: it grows back to all of it over two minutes."""
    if pace.slowed_at is None:
        return pace.pace
    return min(1.0, pace.pace + max(0.0, (now - pace.slowed_at).total_seconds()) / RECOVERS_IN_S)


def _transactional(pace: Pace, limits: Limits, number: int, now: datetime) -> tuple[Pace, Sequence[datetime]]:
    interval = _interval(pace, limits, now)
    if not number or interval is None:
        return pace, [_earliest(pace, now)] * number
    if pace.marketing_until is not None and pace.marketing_until > now:
        slots, end = _spaced(_earliest(pace, now, pace.taken_until), interval / (1 - FOR_MARKETING), number)
        return replace(pace, taken_until=end), slots
    slots, end = _spaced(_earliest(pace, now - interval * (limits.at_once - 1), pace.taken_until, pace.marketing_until), interval, number)
    return replace(pace, taken_until=end, full_until=end), slots


def _marketing(pace: Pace, limits: Limits, number: int, now: datetime) -> tuple[Pace, Sequence[datetime]]:
    interval = _interval(pace, limits, now)
    if not number or interval is None:
        return pace, [_earliest(pace, now)] * number
    since = now - interval * (limits.at_once - 1)
    slots, end = _spaced(_earliest(pace, since, pace.marketing_until, pace.full_until), interval / FOR_MARKETING, number)
    return replace(pace, marketing_until=end), slots


def _interval(pace: Pace, limits: Limits, now: datetime) -> timedelta | None:
    return None if limits.per_second is None else timedelta(seconds=1 / (limits.per_second * speed(pace, now)))


def _earliest(pace: Pace, now: datetime, *clocks: datetime | None) -> datetime:
    return max(now, pace.closed_until or _LONG_AGO, *(clock for clock in clocks if clock is not None))


def _spaced(start: datetime, interval: timedelta, number: int) -> tuple[Sequence[datetime], datetime]:
    return [start + interval * place for place in range(number)], start + interval * number


def _marketings_part(max_per_day: int | None) -> int | None:
    return None if max_per_day is None else int(max_per_day * FOR_MARKETING)


def _left_of_day(most: int | None, used: int, asked: int) -> int:
    return asked if most is None else max(0, min(asked, most - used))
