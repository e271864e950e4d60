"""Arms and holdout: the hash is the assignment, and these numbers never change."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.language import Arm, Journey, Split, Wait, days, event, sample
from journeys.language.assign import (
    AppHoldout,
    arm,
    bucket,
    ends,
    in_app_holdout,
    in_campaign_holdout,
    in_holdout,
    in_sample,
    is_tested,
    variant_place,
)
from tests.journeys.golden import ARMS, BUCKETS, HELD_OUT, VARIANTS, GoldenArm, GoldenBucket, GoldenHoldout, GoldenVariant

THIRDS = Split("offer", arms=[Arm("a", 33.33, []), Arm("b", 33.33, []), Arm("c", 33.34, [])])
JOURNEY = Journey("cart-recovery", starts_on=event("x"), holdout=2.5, steps=[Wait("w", days(1))])
PEOPLE = [f"user-{number}" for number in range(100_000)]


@pytest.mark.parametrize("vector", BUCKETS, ids=str)
def test_golden_vectors(vector: GoldenBucket) -> None:
    assert bucket(vector.app, vector.journey, vector.step, vector.subject) == vector.bucket


@pytest.mark.parametrize("vector", ARMS, ids=str)
def test_golden_arms_at_the_edges_of_every_range(vector: GoldenArm) -> None:
    assert bucket("demo", "cart-recovery", vector.split.id, vector.subject) == vector.bucket
    assert arm(vector.split, "demo", "cart-recovery", vector.subject).name == vector.arm


@pytest.mark.parametrize("vector", HELD_OUT, ids=str)
def test_golden_holdouts_of_an_app_at_their_edges(vector: GoldenHoldout) -> None:
    assert in_app_holdout(AppHoldout(vector.percent, vector.salt), "demo", vector.subject) is vector.held_out


@pytest.mark.parametrize("vector", VARIANTS, ids=str)
def test_golden_variants_at_the_edges_of_every_range(vector: GoldenVariant) -> None:
    place = variant_place(vector.variants, "demo", vector.campaign, vector.subject)
    assert vector.variants[place].name == vector.variant


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=12))
def test_weights_with_decimals_leave_no_bucket_out_and_none_twice(hundredths: list[int]) -> None:
    scaled = [weight * 10_000 // max(1, sum(hundredths)) for weight in hundredths]
    scaled[-1] += 10_000 - sum(scaled)
    split = Split("offer", arms=[Arm(str(place), weight / 100, []) for place, weight in enumerate(scaled)])
    assert ends(split) == tuple(accumulate(scaled))


def test_percentages_hold_over_100_000_ids() -> None:
    counts = {"a": 0, "b": 0, "c": 0}
    for user in PEOPLE:
        counts[arm(THIRDS, "demo", "cart-recovery", user).name] += 1
    assert all(abs(count - 33_333) < 600 for count in counts.values()), counts
    assert abs(sum(in_holdout(JOURNEY, "demo", user) for user in PEOPLE) - 2_500) < 200


def test_ranges_are_contiguous_in_the_declared_order() -> None:
    split = Split("offer", arms=[Arm("first", 10, []), Arm("rest", 90, [])])
    for user in PEOPLE[:2_000]:
        expected = "first" if bucket("demo", "j", "offer", user) < 1_000 else "rest"
        assert arm(split, "demo", "j", user).name == expected


def test_an_arm_of_nothing_gets_nobody() -> None:
    split = Split("offer", arms=[Arm("off", 0, []), Arm("on", 100, [])])
    assert {arm(split, "demo", "j", user).name for user in PEOPLE[:2_000]} == {"on"}


def test_arm_and_holdout_are_independent() -> None:
    held_out = [user for user in PEOPLE if in_holdout(JOURNEY, "demo", user)]
    share = sum(arm(THIRDS, "demo", "cart-recovery", user).name == "a" for user in held_out) / len(held_out)
    assert 0.29 < share < 0.38


def test_a_sample_is_as_large_as_it_says_and_lies_within_a_larger_one() -> None:
    small, large = ({user for user in PEOPLE if in_sample(sample(percent), "demo", user)} for percent in (0.25, 20))
    assert abs(len(small) - 250) < 60, len(small)
    assert abs(len(large) - 20_000) < 500, len(large)
    assert small < large


def test_a_sample_says_nothing_of_arms_and_holdout_and_other_samples() -> None:
    drawn = [user for user in PEOPLE if in_sample(sample(20), "demo", user)]
    shares = [
        sum(arm(THIRDS, "demo", "cart-recovery", user).name == "a" for user in drawn) / 0.3333,
        sum(in_holdout(JOURNEY, "demo", user) for user in drawn) / 0.025,
        sum(in_sample(sample(50, salt="spring"), "demo", user) for user in drawn) / 0.5,
    ]
    assert all(abs(share - len(drawn)) < len(drawn) / 10 for share in shares), shares


def test_nobody_and_everybody_are_samples_too() -> None:
    assert not any(in_sample(sample(0), "demo", user) for user in PEOPLE[:1_000])
    assert all(in_sample(sample(100), "demo", user) for user in PEOPLE[:1_000])


def test_a_greater_holdout_of_an_app_keeps_who_was_in_it_and_another_salt_draws_others() -> None:
    small, large, other = (
        {user for user in PEOPLE if in_app_holdout(holdout, "demo", user)}
        for holdout in (AppHoldout(2.5), AppHoldout(5), AppHoldout(5, "2027"))
    )
    assert small < large
    assert (abs(len(small) - 2_500) < 200, abs(len(large) - 5_000) < 250) == (True, True)
    assert len(large & other) < 350  # 250 by chance


def test_holdouts_of_app_journey_and_campaign_and_what_is_tested_say_nothing_of_each_other() -> None:
    drawn = [user for user in PEOPLE if in_app_holdout(AppHoldout(20), "demo", user)]
    shares = [
        sum(in_holdout(JOURNEY, "demo", user) for user in drawn) / 0.025,
        sum(in_campaign_holdout(10, "demo", "cart-recovery", user) for user in drawn) / 0.1,
        sum(is_tested(20, "demo", "cart-recovery", user) for user in drawn) / 0.2,
        sum(
            is_tested(20, "demo", "cart-recovery", user) and not variant_place(THIRDS.arms, "demo", "cart-recovery", user) for user in drawn
        )
        / 0.0666,
    ]
    assert all(abs(share - len(drawn)) < len(drawn) / 10 for share in shares), shares


def test_a_campaign_draws_others_than_the_journey_of_its_name() -> None:
    held = {user for user in PEOPLE if in_campaign_holdout(2.5, "demo", "cart-recovery", user)}
    assert len(held & {user for user in PEOPLE if in_holdout(JOURNEY, "demo", user)}) < 120  # 62 by chance
