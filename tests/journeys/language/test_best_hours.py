"""When somebody reads: enough evidence, the recent more, on their wall, and never beyond what was allowed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from journeys.language import Person, Send, Wait, best_time, email, hours, rehearse
from journeys.language.best_hours import ENOUGH_OF_ALL, ENOUGH_OF_ONE, BestHours, assumed, next_best, of_everybody, of_person
from journeys.language.zones import utc_to_local
from tests.journeys.language.test_play import journey

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
evening = [NOON.replace(hour=17, minute=20) - DAY * each for each in range(1, 8)]  # 18:20 in Berlin


def best_of(readings: list[datetime], now: datetime = NOON, within: timedelta = DAY) -> datetime | None:
    best = of_person(readings, now, BERLIN)
    return None if best is None else next_best(best, now, within, BERLIN)


def test_the_hour_at_which_they_opened_most_is_next() -> None:
    assert best_of([*evening, NOON - DAY, NOON - DAY * 2]) == NOON.replace(hour=17)


def test_too_few_readings_say_nothing() -> None:
    assert best_of(evening[: ENOUGH_OF_ONE - 1]) is None
    assert of_everybody([0.0] * 23 + [ENOUGH_OF_ALL - 1.0]) is None


def test_an_old_habit_gives_way_to_a_new_one() -> None:
    old = [NOON.replace(hour=6) - DAY * (150 + each) for each in range(9)]
    assert best_of([*old, *evening[:5]]) == NOON.replace(hour=17)


def test_hours_beside_each_other_are_one_habit() -> None:
    around_six = [NOON.replace(hour=hour) - DAY * 3 for hour in (16, 17, 18)]
    assert best_of([*around_six, *around_six, *[NOON.replace(hour=7) - DAY * 3] * 2]) == NOON.replace(hour=17)


def test_when_this_is_the_best_hour_it_is_now() -> None:
    now = NOON.replace(hour=17, minute=40)
    assert best_of(evening, now) == now


def test_what_lies_beyond_the_time_allowed_is_not_waited_for() -> None:
    assert best_of(evening, within=timedelta(hours=3)) == NOON
    assert best_of(evening, within=timedelta(hours=4)) == NOON.replace(hour=16)  # the hour before their best


def test_everybodys_hours_stand_in() -> None:
    counted = [0.0] * 24
    counted[9] = 300.0
    best = of_everybody(counted)
    assert best is not None
    assert next_best(best, NOON, DAY, BERLIN) == datetime(2026, 3, 3, 8, tzinfo=UTC)


worths = st.lists(st.floats(0, 100), min_size=24, max_size=24).map(lambda each: BestHours(tuple(each), "person"))
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]).map(ZoneInfo)
times = st.datetimes(datetime(2024, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants bounds without


@given(worths, times, st.integers(1, 72), zones)
def test_the_moment_lies_within_and_no_hour_within_is_better(best: BestHours, now: datetime, within: int, zone: ZoneInfo) -> None:
    until = next_best(best, now, timedelta(hours=within), zone)
    assert now <= until <= now + timedelta(hours=within)
    minutes = (now + timedelta(minutes=each) for each in range(0, min(within, 23) * 60, 15))
    assert max(best.worth[utc_to_local(each, zone).hour] for each in minutes) <= best.worth[utc_to_local(until, zone).hour]


def test_a_rehearsal_says_what_it_assumes() -> None:
    waiting = journey(Wait("best", until=best_time(within=hours(24)), then=[Send("hello", email("h"))]))
    played = rehearse(waiting, user=Person(timezone="Europe/Berlin", best_hour=18))
    assert "their best time is assumed to be 18:00" in played.timeline
    assert [line.at for line in played.lines if line.kind == "sent"] == [NOON.replace(hour=17)]
    assert next_best(assumed(18), NOON, DAY, BERLIN) == NOON.replace(hour=17)
