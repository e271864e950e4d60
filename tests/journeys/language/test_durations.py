"""Lengths of time as authors write them."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from journeys.language import at, days, hours, minutes, on, seconds, weeks
from journeys.language.describe import duration_words
from journeys.language.durations import Duration


def test_durations_are_exact() -> None:
    assert days(1).timedelta == timedelta(hours=24)
    assert weeks(1) == days(7)
    assert minutes(0.5) == seconds(30)
    assert days(1) + hours(2) - minutes(30) == hours(25.5)
    assert -hours(1) == hours(-1)


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (days(1), "1 day"),
        (days(7), "7 days"),
        (weeks(2), "2 weeks"),
        (minutes(90), "90 minutes"),
        (hours(24), "1 day"),
        (seconds(0), "no time"),
    ],
)
def test_durations_in_words(duration: Duration, words: str) -> None:
    assert duration_words(duration) == words


@pytest.mark.parametrize("time", ["9:00", "24:00", "09:60", "09:00:00", "noon"])
def test_a_time_of_day_has_two_digits_each(time: str) -> None:
    with pytest.raises(ValidationError):
        at(time)


def test_a_weekday_is_one_of_seven() -> None:
    with pytest.raises(ValidationError):
        on("funday", "09:00")  # type: ignore[arg-type]


def test_a_duration_of_a_thousand_years_is_none() -> None:
    with pytest.raises(ValidationError):
        days(365_000)
