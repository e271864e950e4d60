"""Arms that hold others than their weights say are found, and sound ones are left alone under every look."""

import random

import pytest

from journeys.language.mismatch import SUSPECT, is_mismatched, mismatch_p


@pytest.mark.parametrize(
    ("counts", "weights", "is_wrong"),
    [
        ([500, 500], [50, 50], False),
        ([530, 470], [50, 50], False),
        ([821_588, 815_482], [50, 50], True),  # the example of the literature: 0.2 points off among 1.6 million (R. Kohavi)
        ([52_000, 48_000], [50, 50], True),
        ([600, 400], [50, 50], True),
        ([9_000, 1_000], [90, 10], False),
        ([9_300, 700], [90, 10], True),
        ([3_334, 3_333, 3_333], [1, 1, 1], False),
        ([10, 0], [50, 50], False),  # too few to say
        ([0, 0], [50, 50], False),
        ([100, 0], [100, 0], False),
        ([100, 1], [100, 0], True),  # nobody should be in an arm without weight
    ],
)
def test_counts_go_with_their_weights_or_do_not(counts: list[int], weights: list[float], is_wrong: bool) -> None:
    assert is_mismatched(counts, weights) is is_wrong


def test_p_is_the_weights_likelihood_over_that_of_the_mixture() -> None:
    """By hand: the chance of three in a row, by halves and by shares as Beta(500, 500) weighs them."""
    mixture = 1.0
    for place in range(3):
        mixture *= (500 + place) / (1000 + place)
    assert mismatch_p([3, 0], [1, 1]) == pytest.approx(min(1.0, 0.5**3 / mixture))


def test_sound_experiments_are_suspected_less_than_once_in_a_thousand_by_who_looks_at_each_person() -> None:
    chance = random.Random(11)
    suspected = 0
    for _ in range(2_000):
        counts = [0, 0]
        for person in range(1, 1_501):
            counts[chance.random() < 0.5] += 1
            # What lies within 3 standard errors goes with its weights.
            if (counts[0] - counts[1]) ** 2 > 9 * person and is_mismatched(counts, [50, 50]):
                suspected += 1
                break
    assert suspected / 2_000 <= SUSPECT


def test_an_arm_that_loses_one_in_ten_is_found_before_20_000_people() -> None:
    chance = random.Random(12)
    counts = [0, 0]
    while not is_mismatched(counts, [50, 50]):
        is_second = chance.random() < 0.5
        counts[is_second] += not (is_second and chance.random() < 0.1)
    assert 1_000 < sum(counts) < 20_000
