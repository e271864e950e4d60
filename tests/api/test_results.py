"""Results of experiments, from rows as they are counted."""

from collections.abc import Mapping

import pytest

from api.funnel import tally
from api.results import Found, converted_of, holdout_of, split_of
from journeys.language import ALWAYS, Arm, Journey, Split, days, event
from journeys.language.durations import Always
from storage.reports import Counted


def journey(*weights: float, holdout: float = 0, again_after: Always | None = None) -> Journey:
    arms = [Arm(name, weight, []) for name, weight in zip("abc", weights, strict=False)]
    goal = event("bought").within(days(7))
    return Journey("j", starts_on=event("x"), goal=goal, holdout=holdout, again_after=again_after, steps=[Split("offer", arms=arms)])


def split(found: Journey) -> Split:
    step = found.steps[0]
    assert isinstance(step, Split)
    return step


def rows(counts: Mapping[str, tuple[int, int]], version: int = 1) -> list[Counted]:
    """Entered and converted of each arm; an empty name is everybody, and `held_out` the holdout."""
    found = []
    for name, (entered, converted) in counts.items():
        whats = ("held_out", "held_out_converted") if name == "held_out" else ("entered", "converted")
        place = ("", "") if name in {"", "held_out"} else ("offer", name)
        found += [Counted(version, *place, what, "", "", n) for what, n in zip(whats, (entered, converted), strict=True)]
    return found


def test_an_arm_is_said_to_be_better_only_where_the_interval_says_so_under_every_look() -> None:
    live = journey(50, 50)
    # A usual interval of this difference, +1.2 points, does not hold 0 either: it would be declared at a lucky moment.
    lucky = split_of(Found(live, {1: live}, rows({"a": (5_000, 480), "b": (5_000, 540)})), split(live)).arms[1].against_first
    sure = split_of(Found(live, {1: live}, rows({"a": (5_000, 480), "b": (5_000, 620)})), split(live)).arms[1].against_first
    assert lucky is not None
    assert sure is not None
    assert lucky.rate == pytest.approx(0.012)
    assert lucky.low < 0 < lucky.high
    assert lucky.p > 0.05
    assert 0 < sure.low < sure.rate
    assert sure.p < 0.05


def test_of_three_arms_each_needs_more_than_of_two() -> None:
    counted = {"a": (5_000, 480), "b": (5_000, 600)}
    two, three = journey(50, 50), journey(34, 33, 33)
    of_two = split_of(Found(two, {1: two}, rows(counted)), split(two)).arms[1].against_first
    of_three = split_of(Found(three, {1: three}, rows({**counted, "c": (5_000, 480)})), split(three)).arms[1].against_first
    assert of_two is not None
    assert of_three is not None
    assert of_three.p == pytest.approx(2 * of_two.p)
    assert of_three.low < of_two.low


def test_people_who_are_not_spread_as_the_weights_say_are_told() -> None:
    live = journey(50, 50)
    assert not split_of(Found(live, {1: live}, rows({"a": (5_020, 0), "b": (4_980, 0)})), split(live)).is_mismatched
    assert split_of(Found(live, {1: live}, rows({"a": (5_300, 0), "b": (4_700, 0)})), split(live)).is_mismatched


def test_each_person_is_expected_by_the_weights_of_their_own_version() -> None:
    old, live = journey(90, 5, 5), journey(50, 50)
    counted = rows({"a": (9_000, 0), "b": (500, 0), "c": (500, 0)}) + rows({"a": (1_000, 0), "b": (1_000, 0)}, version=2)
    assert not split_of(Found(live, {1: old, 2: live}, counted), split(live)).is_mismatched
    assert split_of(Found(live, {1: live, 2: live}, counted), split(live)).is_mismatched


def test_a_holdout_that_is_too_large_is_told() -> None:
    live = journey(50, 50, holdout=10)
    sound, off = (Found(live, {1: live}, rows({"": (9_000, 900), "held_out": (held, 100)})) for held in (1_000, 1_400))
    reports = [holdout_of(found, tally(found.rows)) for found in (sound, off)]
    assert [each is not None and each.is_mismatched for each in reports] == [False, True]


def test_who_enters_ten_times_is_ten_times_in_one_arm_and_makes_no_mismatch() -> None:
    once, again = journey(50, 50), journey(50, 50, again_after=ALWAYS)
    counted = rows({"a": (5_300, 0), "b": (4_700, 0)})
    for definitions in ({1: again}, {1: again, 2: once}):  # in an earlier version too
        found = Found(once, definitions, counted)
        assert (found.enter_again, split_of(found, split(once)).is_mismatched) == (True, False)
    assert not Found(once, {1: once}, counted).enter_again


def test_without_a_goal_nothing_is_compared() -> None:
    live = Journey("j", starts_on=event("x"), steps=[Split("offer", arms=[Arm("a", 50, []), Arm("b", 50, [])])])
    found = split_of(Found(live, {1: live}, rows({"a": (10, 0), "b": (10, 0)})), split(live))
    assert converted_of(live, tally([])) is None
    assert [(arm.converted, arm.against_first) for arm in found.arms] == [(None, None), (None, None)]
