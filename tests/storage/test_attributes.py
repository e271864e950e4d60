"""Attributes: any order of arrival gives one state."""

from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from storage.attributes import Profile, changed, joined, without

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)

values = st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 3), min_size=1, max_size=3)
changes = st.lists(st.tuples(values, st.integers(0, 3)), max_size=8)


def told(profile: Profile, change: tuple[dict[str, Any], int, str]) -> Profile:
    traits, minute, event_id = change
    return changed(profile, traits, NOON + timedelta(minutes=minute), event_id)


@given(changes, st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_one_state(drawn: list[tuple[dict[str, Any], int]], random: Any) -> None:
    stream = [(traits, minute, f"e{index}") for index, (traits, minute) in enumerate(drawn)]
    shuffled = random.sample(stream, len(stream))
    assert reduce(told, shuffled, Profile()) == reduce(told, stream, Profile())


@given(changes, st.lists(st.booleans(), min_size=8, max_size=8))
def test_joining_two_people_is_the_same_as_having_been_one(drawn: list[tuple[dict[str, Any], int]], sides: list[bool]) -> None:
    stream = [(traits, minute, f"e{index}") for index, (traits, minute) in enumerate(drawn)]
    one = reduce(told, [c for c, side in zip(stream, sides, strict=False) if side], Profile())
    other = reduce(told, [c for c, side in zip(stream, sides, strict=False) if not side], Profile())
    assert joined(one, other) == joined(other, one) == reduce(told, stream, Profile())


def test_a_deleted_key_does_not_come_back_with_an_older_value() -> None:
    gone = changed(Profile(), {"plan": None}, NOON, "late")
    assert changed(gone, {"plan": "gold"}, NOON - timedelta(days=1), "early").attributes == {}


def test_the_event_id_decides_when_two_events_have_one_time() -> None:
    first = changed(Profile(), {"plan": "gold"}, NOON, "a")
    assert changed(first, {"plan": "free"}, NOON, "b").attributes == {"plan": "free"}


def test_a_key_left_out_leaves_no_tombstone() -> None:
    profile = changed(Profile(), {"email": "a", "plan": "gold"}, NOON, "a")
    assert without(profile, frozenset({"email"})) == changed(Profile(), {"plan": "gold"}, NOON, "a")
