"""Slots: never more than the rate, transactional ahead of marketing, nothing before the provider said so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from activities.pacing import Limits, Pace, slowed, speed, take

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
LIMITS = st.builds(Limits, per_second=st.sampled_from([0.5, 1.0, 7.0, 14.0, 100.0]), burst=st.sampled_from([None, 1, 5, 40]))
ASKED = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 20), st.integers(0, 60)), min_size=1, max_size=30)


@given(LIMITS, ASKED)
def test_in_no_window_leave_more_than_the_rate_and_one_burst(limits: Limits, asked: list[tuple[float, int, int]]) -> None:
    assert limits.per_second is not None
    pace, now, given_away = Pace(), NOW, list[datetime]()
    for wait, transactional, marketing in asked:
        now += timedelta(seconds=wait)
        pace, slots = take(pace, limits, transactional, marketing, now)
        given_away += [max(slot, now) for slot in (*slots.transactional, *slots.marketing)]
        assert (len(slots.transactional), len(slots.marketing)) == (transactional, marketing)
    given_away.sort()
    for place, start in enumerate(given_away):
        for end_place in range(place, len(given_away), 7):
            window_s = (given_away[end_place] - start).total_seconds()
            assert end_place - place + 1 <= limits.per_second * window_s + limits.at_once + 3


@given(LIMITS, ASKED)
def test_every_slot_is_after_what_the_provider_named(limits: Limits, asked: list[tuple[float, int, int]]) -> None:
    closed = NOW + timedelta(seconds=20)
    pace, now = Pace(closed_until=closed), NOW
    for wait, transactional, marketing in asked:
        now += timedelta(seconds=wait)
        pace, slots = take(pace, limits, transactional, marketing, now)
        assert all(slot >= closed for slot in (*slots.transactional, *slots.marketing))


def test_a_hundred_thousand_who_wait_come_back_one_by_one() -> None:
    _, slots = take(Pace(), Limits(per_second=100, burst=1), 0, 100_000, NOW)
    gaps = {round((after - before).total_seconds(), 6) for before, after in zip(slots.marketing, slots.marketing[1:], strict=False)}
    assert gaps == {0.0125}, "four fifths of the rate"


def test_what_is_transactional_does_not_wait_behind_a_campaign() -> None:
    pace, _ = take(Pace(), Limits(per_second=10, burst=1), 0, 10_000, NOW)
    _, slots = take(pace, Limits(per_second=10, burst=1), 3, 0, NOW + timedelta(seconds=60))
    waits = [(slot - NOW - timedelta(seconds=60)).total_seconds() for slot in slots.transactional]
    assert waits == [0.0, 0.5, 1.0], "a fifth of the rate is kept for it"


def test_alone_it_has_the_whole_rate_and_marketing_begins_behind_it() -> None:
    limits = Limits(per_second=10, burst=1)
    pace, slots = take(Pace(), limits, 20, 0, NOW)
    assert (slots.transactional[-1] - NOW).total_seconds() == 1.9
    _, later = take(pace, limits, 0, 1, NOW)
    assert (later.marketing[0] - NOW).total_seconds() == 2.0


def test_the_days_messages_are_counted_in_utc_and_a_fifth_is_kept() -> None:
    limits = Limits(max_per_day=10)
    pace, slots = take(Pace(), limits, 1, 20, NOW)
    assert (len(slots.transactional), len(slots.marketing)) == (1, 7)
    pace, slots = take(pace, limits, 5, 1, NOW)
    assert (len(slots.transactional), len(slots.marketing)) == (2, 0)
    assert slots.not_before == datetime(2026, 11, 27, tzinfo=UTC)
    _, slots = take(pace, limits, 5, 1, slots.not_before)
    assert (len(slots.transactional), len(slots.marketing)) == (5, 1)


def test_a_throttle_halves_the_speed_once_a_second_and_it_grows_back_in_two_minutes() -> None:
    pace = slowed(slowed(Pace(), NOW), NOW + timedelta(milliseconds=500))
    assert speed(pace, NOW) == 0.5
    again = slowed(pace, NOW + timedelta(seconds=1))
    assert 0.25 <= speed(again, NOW + timedelta(seconds=1)) < 0.26
    assert speed(pace, NOW + timedelta(seconds=59)) < 1
    assert speed(pace, NOW + timedelta(seconds=60)) == 1.0
    for minute in range(50):
        pace = slowed(replace(pace, slowed_at=None), NOW + timedelta(minutes=minute))
    assert pace.pace == 0.05


def test_a_slowed_account_gives_slots_further_apart() -> None:
    pace = slowed(Pace(), NOW)
    _, slots = take(pace, Limits(per_second=10, burst=1), 2, 0, NOW)
    assert (slots.transactional[1] - slots.transactional[0]).total_seconds() == 0.2
