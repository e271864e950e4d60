"""The calendar of a person: next times, moved times, and the two odd hours of the year."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.language import at, best_time, captured, days, entry, hours, minutes, on, trait
from journeys.language.durations import Day, Instant
from journeys.language.facts import EventFact, Facts
from journeys.language.moments import instant
from journeys.language.steps import Moment
from journeys.language.zones import instant_of, local_to_utc, utc_to_local, zone_of

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
BERLIN = ZoneInfo("Europe/Berlin")


def known(zone: str | None = "Europe/Berlin", **attributes: Any) -> Facts:
    return Facts(attributes=attributes, timezone=zone, entry=EventFact("e", "booked", NOON, {"starts_at": "2026-03-05T10:00:00+02:00"}))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (at("13:30"), "2026-03-02T12:30"),  # 13:30 in Berlin, today
        (at("13:00"), "2026-03-03T12:00"),  # exactly now is not next
        (at("09:00"), "2026-03-03T08:00"),
        (on("monday", "13:30"), "2026-03-02T12:30"),
        (on("monday", "09:00"), "2026-03-09T08:00"),  # this Monday's is over
        (on("sunday", "09:00"), "2026-03-08T08:00"),
        (best_time(within=hours(24)), "2026-03-02T12:00"),
        (entry("starts_at"), "2026-03-05T08:00"),
        (entry("starts_at") - hours(24), "2026-03-04T08:00"),
        (entry("starts_at").at("18:00"), "2026-03-05T17:00"),
        (trait("renews_on"), "2026-04-01T22:00"),  # local midnight, summer time by then
        (trait("renews_on") - days(7), "2026-03-25T22:00"),  # exactly 168 hours before
        ((trait("renews_on") - days(7)).at("09:00"), "2026-03-26T08:00"),  # seven dates before, whatever the clocks did
        (trait("renews_on").at("09:00") + minutes(30), "2026-04-02T07:30"),
        (Instant(NOON), "2026-03-02T12:00"),
        (Day(NOON.date()), "2026-03-01T23:00"),
    ],
)
def test_a_moment_is(moment: Moment, expected: str) -> None:
    assert instant(moment, known(renews_on="2026-04-02"), NOON) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("value", [None, "soon", 1772452800, True, "2026-02-30", "2026-03-02T24:00", ["2026-03-02"], {}, "", "0026-01-01"])
def test_what_is_no_time_is_no_moment(value: Any) -> None:
    assert instant(trait("renews_on") - days(7), known(renews_on=value), NOON) is None
    assert instant(trait("renews_on").at("09:00"), known(renews_on=value), NOON) is None


def test_a_step_that_captured_nothing_gives_no_moment() -> None:
    assert instant(captured("shipped", "promised_on") + days(1), known(), NOON) is None


def test_an_unknown_zone_is_utc() -> None:
    assert instant(at("13:00"), known(zone="Mars/Olympus"), NOON) == NOON + timedelta(hours=1)
    assert instant(at("13:00"), known(zone=None), NOON) == NOON + timedelta(hours=1)
    assert zone_of("../etc/passwd") is UTC


def test_a_time_that_does_not_exist_moves_forward() -> None:
    assert local_to_utc(datetime(2026, 3, 29, 2, 30), BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # noqa: DTZ001 - on a wall
    assert utc_to_local(datetime(2026, 3, 29, 1, 30, tzinfo=UTC), BERLIN).hour == 3


def test_a_time_that_comes_twice_is_the_first() -> None:
    assert local_to_utc(datetime(2026, 10, 25, 2, 30), BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # noqa: DTZ001 - on a wall


def test_the_next_half_past_two_of_the_night_the_clocks_go_forward_is_half_past_three() -> None:
    before = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert instant(at("02:30"), known(), before) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
zones = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
times = st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants bounds without


@given(clocks, times, zones)
def test_the_next_time_is_in_the_future_and_on_the_wall(clock: str, now: datetime, zone: ZoneInfo) -> None:
    found = instant(at(clock), Facts(timezone=zone.key), now)
    assert found is not None
    assert found > now
    assert f"{utc_to_local(found, zone):%H:%M}" == clock or _is_odd_day(found, zone)


@given(st.text(max_size=30))
def test_no_text_makes_reading_a_time_raise(text: str) -> None:
    instant_of(text, BERLIN)


def _is_odd_day(moment: datetime, zone: ZoneInfo) -> bool:
    """The clocks change around it, so a time on the wall may not exist or come twice."""
    return len({(moment + timedelta(hours=each)).astimezone(zone).utcoffset() for each in range(-30, 31)}) > 1
