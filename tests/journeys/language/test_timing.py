"""When campaigns begin: zones, everybody's own clock, the two odd hours of the year, cron."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.language.cron_fields import NoCron, fields_of
from journeys.language.timing import (
    AtTimes,
    Strike,
    cron,
    daily,
    first_strike,
    monthly,
    next_strike,
    once,
    weekly,
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("when", "after", "expected"),
    [
        (once("2026-12-01T09:00", zone="Europe/Berlin"), "2026-11-01", "2026-12-01T08:00"),
        (daily("09:00", zone="America/New_York"), "2026-07-01T14:00", "2026-07-02T13:00"),
        (weekly("monday", "09:05"), "2026-11-26", "2026-11-30T09:05"),
        (monthly(31, "00:00"), "2026-11-26", "2026-12-31"),
        (monthly("last", "12:00"), "2027-02-01", "2027-02-28T12:00"),
        # A day that comes every four years, and every eight across 2100.
        (cron("0 0 29 2 *"), "2096-03-01", "2104-02-29"),
        # Of a day of the month and a weekday either is enough.
        (cron("0 8 1 * fri"), "2026-11-28", "2026-12-01T08:00"),
        (cron("*/20 9-10 * jan,mar mon-fri"), "2026-11-26", "2027-01-01T09:00"),
        (cron("50/5 0 * * 7"), "2026-11-26", "2026-11-29T00:50"),
        # Clocks go from 02:00 to 03:00: what would be between strikes after the gap, and once.
        (daily("02:30", zone="Europe/Berlin"), "2027-03-27T12:00", "2027-03-28T01:30"),
        (daily("02:30", zone="Europe/Berlin"), "2027-03-28T01:10", "2027-03-28T01:30"),
        (daily("02:30", zone="Europe/Berlin"), "2027-03-28T01:30", "2027-03-29T00:30"),
        # 02:30 comes twice: the first one counts, and the second is none.
        (daily("02:30", zone="Europe/Berlin"), "2026-10-24T12:00", "2026-10-25T00:30"),
        (daily("02:30", zone="Europe/Berlin"), "2026-10-25T00:30", "2026-10-26T01:30"),
        (cron("0 9 * * *", first=date(2027, 1, 5)), "2026-11-26", "2027-01-05T09:00"),
        (daily("09:00", first=date(2027, 1, 5)), "2026-11-26", "2027-01-05T09:00"),
        (weekly("monday", "09:00", first=date(2027, 1, 5)), "2026-11-26", "2027-01-11T09:00"),
        (monthly("last", "09:00", first=date(2027, 1, 5)), "2026-11-26", "2027-01-31T09:00"),
    ],
)
def test_a_campaign_begins_at_the_next_time_of_its_clock(when: AtTimes, after: str, expected: str) -> None:
    assert next_strike(when, utc(after)) == Strike(utc(expected))


def test_there_is_no_beginning_behind_the_last_day() -> None:
    last = date(2026, 11, 30)  # a Monday
    for when in (cron("0 9 * * *", last=last), daily("09:00", last=last), weekly("monday", "09:00", last=last)):
        assert next_strike(when, utc("2026-11-29T09:00")) == Strike(utc("2026-11-30T09:00"))
        assert next_strike(when, utc("2026-11-30T09:00")) is None
    assert next_strike(monthly("last", "09:00", last=last), utc("2026-11-30T09:00")) is None
    assert next_strike(once("2026-12-01T09:00"), utc("2026-12-01T09:00")) is None
    assert next_strike(cron("0 9 30 2 *"), utc("2026-12-01T09:00")) is None


def test_at_everybodys_local_time_it_begins_when_the_first_zone_of_the_day_has_that_time() -> None:
    assert next_strike(once("2026-12-01T09:00", local=True), utc("2026-11-01")) == Strike(utc("2026-11-30T19:00"), "2026-12-01T09:00")
    first = next_strike(daily("09:00", local=True), utc("2026-11-26T18:00"))
    assert first == Strike(utc("2026-11-26T19:00"), "2026-11-27T09:00")
    assert next_strike(daily("09:00", local=True), utc("2026-11-26T19:00")) == Strike(utc("2026-11-27T19:00"), "2026-11-28T09:00")


def test_a_local_time_can_be_launched_until_it_is_past_in_the_last_zone() -> None:
    when = once("2026-12-01T09:00", local=True)
    assert first_strike(when, utc("2026-11-01")) == Strike(utc("2026-11-30T19:00"), "2026-12-01T09:00")
    assert first_strike(when, utc("2026-12-01T20:59")) == Strike(utc("2026-12-01T20:59"), "2026-12-01T09:00")
    assert first_strike(when, utc("2026-12-01T21:00")) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8"),
        *("5-1 * * * *", "*/0 * * * *", "x * * * *", "*-5 * * * *", "- * * * *", "1,,2 * * * *", "² * * * *"),
        # A name belongs to its field, and the last day to days.
        *("mon * * * *", "* * * * jan", "* * * fri *", "* * L-3 * *", "L * * * *", "* * * * L", "* * 15,,L * *"),
    ],
)
def test_what_is_no_cron_is_told(text: str) -> None:
    with pytest.raises(NoCron):
        fields_of(text)


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"])


@given(
    zone=ZONES,
    text=st.sampled_from(["30 2 * * *", "*/15 * * * *", "0 9 * * mon", "0 0 L * *"]),
    local=st.booleans(),
    after=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001
)
def test_any_beginning_is_later_and_none_lies_between(zone: str, text: str, after: datetime, *, local: bool) -> None:
    when = cron(text, zone="UTC" if local else zone, local=local)
    found = next_strike(when, after)
    assert found is not None
    assert found.at > after
    assert next_strike(when, found.at - timedelta(seconds=1)) == found
