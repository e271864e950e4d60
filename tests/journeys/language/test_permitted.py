"""Quiet hours and send windows: examples on ordinary days, then every zone at every change of its clocks against a count of minutes."""

import random
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.language import QuietHours, SendWindow
from journeys.language.durations import WEEKDAYS
from journeys.language.permitted import Hours, closed_by, leave_none, length_of, next_permitted

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
NEW_YORK, LONDON = ZoneInfo("America/New_York"), ZoneInfo("Europe/London")
NIGHT = QuietHours("21:00", "08:00")
OFFICE = SendWindow("09:00", "17:00", days=["monday", "tuesday", "wednesday", "thursday", "friday"])


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        (Hours([NIGHT]), "2026-03-02T20:59", "2026-03-02T20:59"),
        (Hours([NIGHT]), "2026-03-02T21:00", "2026-03-03T08:00"),
        (Hours([NIGHT]), "2026-03-03T07:59:59", "2026-03-03T08:00"),
        (Hours([NIGHT]), "2026-03-03T08:00", "2026-03-03T08:00"),
        (Hours([QuietHours("08:00", "08:00")]), "2026-03-03T08:00", "2026-03-03T08:00"),  # equal times mean none
        (Hours((), [OFFICE]), "2026-03-02T12:00", "2026-03-02T12:00"),
        (Hours((), [OFFICE]), "2026-03-02T08:59", "2026-03-02T09:00"),
        (Hours((), [OFFICE]), "2026-03-06T17:00", "2026-03-09T09:00"),  # over the weekend
        (Hours((), [SendWindow("00:00", "00:00", days=["sunday"])]), "2026-03-02T12:00", "2026-03-08T00:00"),  # the whole day
        (Hours((), [SendWindow("22:00", "02:00", days=["friday"])]), "2026-03-07T01:59", "2026-03-07T01:59"),  # it began on Friday
        (Hours((), [SendWindow("22:00", "02:00", days=["friday"])]), "2026-03-06T01:00", "2026-03-06T22:00"),
        (Hours([QuietHours("21:00", "10:00")], [OFFICE]), "2026-03-06T22:00", "2026-03-09T10:00"),  # both must permit it
        (Hours([NIGHT, QuietHours("08:00", "09:30")]), "2026-03-02T23:00", "2026-03-03T09:30"),
    ],
)
def test_the_next_permitted_moment_is(hours: Hours, now: str, expected: str) -> None:
    assert next_permitted(hours, utc(now), ZoneInfo("UTC")) == utc(expected)


def test_quiet_hours_that_end_in_the_doubled_hour_end_twice() -> None:
    quiet = Hours([QuietHours("21:00", "01:30")])
    assert next_permitted(quiet, utc("2026-11-01T05:15"), NEW_YORK) == utc("2026-11-01T05:30")
    assert next_permitted(quiet, utc("2026-11-01T06:15"), NEW_YORK) == utc("2026-11-01T06:30")


def test_quiet_hours_that_end_in_the_hour_that_does_not_exist_end_when_the_clocks_go_forward() -> None:
    assert next_permitted(Hours([QuietHours("21:00", "02:30")]), utc("2026-03-08T04:00"), NEW_YORK) == utc("2026-03-08T07:00")


def test_hours_that_leave_nothing_are_known_and_never_waited_for() -> None:
    none = Hours([NIGHT], [SendWindow("22:00", "07:00")])
    assert leave_none(none)
    assert next_permitted(none, NOON, NEW_YORK) is None
    assert not leave_none(Hours([NIGHT], [OFFICE]))


def test_what_drops_counts_before_what_puts_off() -> None:
    dropped = QuietHours("11:00", "13:00", then="skip")
    assert closed_by(Hours([dropped], [SendWindow("13:00", "14:00")]), NOON, UTC) == ("quiet_hours", dropped)
    shut = SendWindow("13:00", "14:00", then="skip")
    assert closed_by(Hours([QuietHours("11:00", "13:00")], [shut]), NOON, UTC) == ("outside_window", shut)
    assert closed_by(Hours([NIGHT], [OFFICE]), NOON, UTC) is None


def test_at_the_end_of_time_nothing_overflows() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert next_permitted(Hours([QuietHours("00:00", "23:59")]), last - timedelta(hours=5), NEW_YORK) == last


# Every zone, every change of clocks -------------------------------------------------------------------------------------------------

SINCE, UNTIL = utc("2024-01-01"), utc("2031-01-01")
EVERY_ZONE = sorted(available_timezones())


def changes(zone: ZoneInfo) -> list[datetime]:
    """Every moment of these years at which the clocks of a zone change, to the minute."""
    step = timedelta(days=5)
    looked_at = [SINCE + step * each for each in range((UNTIL - SINCE) // step + 1)]
    offsets = [each.astimezone(zone).utcoffset() for each in looked_at]
    return [_minute_of_change(looked_at[place], zone) for place in range(len(offsets) - 1) if offsets[place] != offsets[place + 1]]


def _minute_of_change(since: datetime, zone: ZoneInfo) -> datetime:
    before = since.astimezone(zone).utcoffset()
    return since + MINUTE * bisect_left(
        range(5 * 1440 + 1), True, key=lambda minute: (since + MINUTE * minute).astimezone(zone).utcoffset() != before
    )


def walls(since: datetime, begins: int, before: timedelta, after: timedelta) -> Iterator[tuple[int, int, int]]:
    """Each minute of ten days, one day before the clocks change, from `begins` on; the weekday and minute that the wall shows then."""
    first, shift = since + before, (after - before) // MINUTE
    began = first.weekday() * 1440 + first.hour * 60 + first.minute
    for step in range(begins, 10 * 1440):
        yield step, *divmod((began + step + (0 if step < 1440 else shift)) % 10_080, 1440)


def is_permitted(hours: Hours, weekday: int, minute: int) -> bool:
    """The rules once more, in other words: how many minutes ago something began on a clock of 1,440 minutes."""
    for quiet in hours.quiet:
        start, end = _minutes(quiet.start), _minutes(quiet.end)
        if (minute - start) % 1440 < (end - start) % 1440:
            return False
    for window in hours.windows:
        start, end = _minutes(window.start), _minutes(window.end)
        is_whole, ago = start == end, (minute - start) % 1440
        if not is_whole and ago >= (end - start) % 1440:
            return False
        began_on = weekday if is_whole or minute >= ago else (weekday - 1) % 7
        if WEEKDAYS[began_on] not in (window.days or WEEKDAYS):
            return False
    return True


@cache
def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def clock(random_: random.Random) -> str:
    """Any minute, half of the time one of the small hours, where clocks change."""
    minute = random_.choice([random_.randrange(240), random_.randrange(1440)])
    return f"{minute // 60:02}:{minute % 60:02}"


def some_quiet(random_: random.Random) -> QuietHours:
    """Of 22 hours at most, as `check` asks for."""
    while length_of(quiet := QuietHours(clock(random_), clock(random_))) > timedelta(hours=22):
        pass
    return quiet


def some_hours(random_: random.Random, place: int) -> Hours:
    """Quiet hours, and now and then a window, which takes longer to count."""
    if place % 8:
        return Hours([some_quiet(random_)])
    days = random_.choice([None, random_.sample(WEEKDAYS, random_.randint(1, 6))])
    window = SendWindow(clock(random_), clock(random_), days=days)
    return random_.choice([Hours((), [window]), Hours([some_quiet(random_)], [window])])


def test_in_every_zone_at_every_change_of_clocks_the_moment_is_the_earliest_that_is_permitted() -> None:
    """Never in quiet time, put off by quiet hours for 24 hours at most, and no minute in between would have been permitted."""
    random_, counted, deferred = random.Random(20240101), 0, 0
    for name in EVERY_ZONE:
        zone = ZoneInfo(name)
        for change in changes(zone) or [utc("2026-03-29T01:00")]:
            since = change - DAY
            before, after = ((change + by).astimezone(zone).utcoffset() or timedelta() for by in (-MINUTE, timedelta()))
            for _ in range(2):
                counted += 1
                hours, begins = some_hours(random_, counted), random_.randrange(int(1.9 * 1440))
                now = since + MINUTE * begins + timedelta(seconds=random_.choice([0, 0, 17, 59]))
                until = next_permitted(hours, now, zone)
                shown = walls(since, begins, before, after)
                first = next((step for step, weekday, minute in shown if is_permitted(hours, weekday, minute)), None)
                assert until == (None if first is None else max(now, since + MINUTE * first)), (name, now, hours)
                assert (closed_by(hours, now, zone) is None) == (until == now)
                assert hours.windows or (until is not None and until - now <= DAY), (name, now, hours)
                deferred += until != now
    assert len(EVERY_ZONE) >= 590
    assert counted > 6_000
    assert deferred > counted / 4


clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
zones = st.sampled_from(EVERY_ZONE).map(ZoneInfo)
times = st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants bounds without
windows = st.builds(SendWindow, clocks, clocks, days=st.none() | st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True))
any_hours = st.builds(Hours, st.lists(st.builds(QuietHours, clocks, clocks), max_size=2), st.lists(windows, max_size=2))


@given(any_hours, times, zones)
def test_a_moment_that_is_named_is_permitted_whatever_the_zone_did_then(hours: Hours, now: datetime, zone: ZoneInfo) -> None:
    until = next_permitted(hours, now, zone)
    if until is None:
        assert closed_by(hours, now, zone) is not None
    else:
        assert until >= now
        assert closed_by(hours, until, zone) is None
        assert next_permitted(hours, until, zone) == until
