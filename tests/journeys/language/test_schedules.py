"""When schedule(...) strikes, over zones and the two nights on which clocks are changed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from journeys.language import (
    If,
    Journey,
    Send,
    at,
    cron,
    date,
    days,
    email,
    entry,
    every,
    hours,
    minutes,
    on,
    once,
    rehearse,
    schedule,
    timing,
    trait,
)
from journeys.language.cron_fields import NoCron, fields_of
from journeys.language.diff import differences
from journeys.language.schedules import Schedule, last_strike, next_strike, struck_zones
from journeys.language.zones import all_zones, utc_to_local, zone_of

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Nuuk",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "Pacific/Apia",
)
moments = st.integers(0, 4 * 365 * 24 * 60).map(lambda minute: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minute))
schedules: st.SearchStrategy[Schedule] = st.one_of(
    st.sampled_from(("00:00", "00:30", "02:30", "09:00", "23:59")).map(at),
    st.sampled_from(("sunday", "monday", "friday")).map(lambda day: on(day, "02:15")),  # type: ignore[arg-type]
    st.sampled_from(("0 9 * * 1-5", "*/20 1-3 * * *", "30 2 1,15 * sun", "0 0 29 2 *", "15 23 * dec *")).map(cron),
    st.sampled_from((hours(6), minutes(7), days(1))).map(every),
    st.just(once("2026-03-29T02:30")),
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(schedules, st.sampled_from(ZONES), moments)
def test_the_next_strike_is_the_last_one_of_a_time_that_reaches_up_to_it_and_of_none_before(
    schedule: Schedule, name: str, after: datetime
) -> None:
    zone = zone_of(name)
    found = next_strike(schedule, zone, after)
    if found is None or found > after + timedelta(days=70):
        assert last_strike(schedule, zone, after, after + timedelta(days=60)) is None
        return
    assert found > after
    assert last_strike(schedule, zone, after, found) == found
    assert last_strike(schedule, zone, after, found - timedelta(seconds=1)) is None


@given(st.sampled_from(("00:00", "02:30", "09:00", "23:59")), st.sampled_from(ZONES), moments)
@example("23:59", "America/Nuuk", datetime(2024, 3, 20, tzinfo=UTC))  # where clocks jumped from 23:00 to the next day
def test_each_day_of_the_wall_strikes_once_and_shows_the_time_or_one_that_clocks_jumped_to(clock: str, name: str, after: datetime) -> None:
    zone, struck, moment = zone_of(name), [], after
    for _ in range(20):
        moment = next_strike(at(clock), zone, moment) or moment
        struck.append(moment)
    shown = [utc_to_local(each, zone) for each in struck]
    assert sum(f"{each:%H:%M}" == clock for each in shown) >= 19
    # Where it does not show it, it is what a clock would show that was not changed.
    unchanged = timedelta(hours=2)
    meant = [
        each if f"{each:%H:%M}" == clock else utc_to_local(moment - unchanged, zone) + unchanged
        for each, moment in zip(shown, struck, strict=True)
    ]
    assert {f"{each:%H:%M}" for each in meant} == {clock}
    assert [later.date() - earlier.date() for earlier, later in pairwise(meant)] == [timedelta(days=1)] * 19


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "strikes"),
    [
        (at("02:30"), "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:30"),  # the hour that is left out: 03:30 in summer time
        (at("02:30"), "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T00:30"),  # the hour that comes twice: the first
        (at("02:30"), "Europe/Berlin", "2026-10-25T00:30", "2026-10-26T01:30"),  # and not the second
        (cron("0 9 * * 1"), "Europe/Berlin", "2026-10-23T12:00", "2026-10-26T08:00"),  # a Monday, in winter time again
        (cron("0 9 13 * fri"), "UTC", "2026-02-01T00:00", "2026-02-06T09:00"),  # the 13th, or any Friday
        (cron("0 0 29 2 *"), "UTC", "2096-03-01T00:00", "2104-02-29T00:00"),  # 2100 has none
        (cron("0 9 L * *"), "UTC", "2027-02-01T00:00", "2027-02-28T09:00"),  # the last day of the month
        (cron("0 9 15,L * *"), "Europe/Berlin", "2026-11-16T00:00", "2026-11-30T08:00"),  # beside another one
        (once("2026-12-01T09:00"), "America/New_York", "2026-01-01T00:00", "2026-12-01T14:00"),
        (once("2026-12-01T09:00"), "UTC", "2026-12-01T09:00", None),
        (every(hours(6)), "Europe/Berlin", "2026-10-25T00:30", "2026-10-25T06:00"),  # whatever clocks show
        (on("sunday", "02:30"), "Australia/Lord_Howe", "2026-10-03T00:00", "2026-10-03T15:30"),  # half an hour is left out there
    ],
)
def test_strikes(schedule: Schedule, zone: str, after: str, strikes: str | None) -> None:
    assert next_strike(schedule, zone_of(zone), utc(after)) == (strikes and utc(strikes))


@given(st.sampled_from((at("09:00"), on("monday", "00:15"), cron("*/15 8-9 * * *"))), moments, st.integers(1, 3000))
def test_zones_are_asked_together_as_each_would_be_asked_alone(schedule: Schedule, after: datetime, minutes: int) -> None:
    until = after + timedelta(minutes=minutes)
    together = {name: moment for moment, names in struck_zones(schedule, after, until).items() for name in names}
    alone = {name: last_strike(schedule, zone_of(name), after, until) for name in [*ZONES, "Antarctica/Troll", "Africa/Casablanca"]}
    assert {name: together.get(name) for name in alone} == alone


def test_nine_o_clock_comes_to_every_zone_once_a_day() -> None:
    struck: list[str] = []
    for quarter in range(96):
        until = utc("2026-11-26T00:00") + timedelta(minutes=15 * (quarter + 1))
        struck += [name for names in struck_zones(at("09:00"), until - timedelta(minutes=15), until).values() for name in names]
    assert sorted(struck) == sorted(all_zones())


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        ("*/15 * * * *", (0, 15, 30, 45)),
        ("1-5/2,59 * * * *", (1, 3, 5, 59)),
        ("7 * * * *", (7,)),
        ("5/20 * * * *", (5, 25, 45)),  # from there to the end of the field
    ],
)
def test_cron_is_read(expression: str, numbers: Any) -> None:
    assert fields_of(expression).minutes == numbers


def test_sunday_is_0_and_7_and_names_count() -> None:
    assert fields_of("0 0 * jan-MAR 5-7").months == (1, 2, 3)
    assert (
        fields_of("0 0 * * 5-7").weekdays == fields_of("0 0 * * 0,fri,sat").weekdays == fields_of("0 0 * * fri-sun").weekdays == (0, 5, 6)
    )
    assert fields_of("0 0 * * sun").weekdays == fields_of("0 0 * * sun-sun").weekdays == (0,)


CRONS = st.lists(
    st.sampled_from(("*", "0", "5", "1-5", "*/7", "5/10", "1,3-5", "L", "15,L", "jan", "mon", "fri-sun", "31", "60", "x", "")),
    min_size=5,
    max_size=5,
).map(" ".join)


@given(CRONS, moments)
def test_a_schedule_and_a_campaign_read_the_same_cron_alike(expression: str, after: datetime) -> None:
    try:
        fields = fields_of(expression)
    except NoCron:
        for read in (
            lambda: next_strike(cron(expression), zone_of("UTC"), after),
            lambda: timing.next_strike(timing.cron(expression), after),
        ):
            with pytest.raises(NoCron):
                read()
        return
    if fields.never_come():
        assert timing.next_strike(timing.cron(expression), after) is None
        return
    begins = timing.next_strike(timing.cron(expression), after)
    assert begins is not None
    assert begins.at == next_strike(cron(expression), zone_of("UTC"), after)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *", "5/0 * * * *", "* * 0 * *", "* * * foo *", "@daily", "a b c d e"],
)
def test_what_is_no_cron_is_told(expression: str) -> None:
    with pytest.raises(NoCron):
        fields_of(expression)


def test_a_drawing_and_a_difference_say_it_in_words() -> None:
    steps = [Send("hello", email("hello"))]
    daily = Journey("news", starts_on=schedule(at("09:00"), segment="vip", zone="Europe/Berlin", per_second=50), steps=steps)
    weekly = Journey("news", starts_on=schedule(on("monday", "09:00"), segment="vip", overlap="wait"), steps=steps)
    assert "news: starts on every day at 09:00 in Europe/Berlin, for segment vip, 50 people a second;" in daily.draw()
    [changed] = differences(daily, weekly)
    assert changed.after == "Mondays at 09:00 in the zone of each, for segment vip, each waits for the one before"


@pytest.mark.parametrize(
    ("start", "name"), [(schedule(once("2031-12-01T09:00"), segment="vip"), "schedule"), (date(trait("renews_on")), "date")]
)
def test_a_rehearsal_names_the_entry_by_its_way_in(start: Any, name: str) -> None:
    told = Journey("told", starts_on=start, steps=[If("by_time", entry("$event") == name, then=[Send("hello", email("hello"))])])
    assert rehearse(told).sent == ["hello"]
