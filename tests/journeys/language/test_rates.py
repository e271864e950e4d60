"""Intervals that hold under every look: their formulas, their edges, and what they agree on. What they promise: test_peeking.py."""

from math import exp, lgamma, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.language.rates import ALPHA, MIXTURE, Difference, Share, difference, share


def minus(first: tuple[int, int], second: tuple[int, int], comparisons: int = 1) -> Difference:
    found = difference(share(*first), share(*second), comparisons=comparisons)
    assert found is not None
    return found


@pytest.mark.parametrize(("n", "of"), [(81, 263), (15, 148), (1, 29), (500, 10_000), (9_999, 10_000)])
def test_at_the_ends_of_a_share_the_mixture_is_twenty_times_as_likely(n: int, of: int) -> None:
    found = share(n, of)
    assert found is not None
    jeffreys = lgamma(n + 0.5) + lgamma(of - n + 0.5) - lgamma(of + 1) - 2 * lgamma(0.5)
    for end in (found.low, found.high):
        assert exp(jeffreys - n * log(end) - (of - n) * log(1 - end)) == pytest.approx(1 / ALPHA, rel=1e-6)
    assert found.low < found.rate < found.high


def test_nobody_and_everybody_have_one_open_end() -> None:
    nobody, everybody = share(0, 20), share(20, 20)
    assert nobody is not None
    assert everybody is not None
    assert (nobody.low, everybody.high) == (0.0, 1.0)
    assert nobody.high == pytest.approx(1 - everybody.low) == pytest.approx(0.2240, abs=1e-4)


def test_a_difference_reaches_as_far_as_robbins_normal_mixture_says() -> None:
    first, second = (560, 5_000), (480, 5_000)
    found = minus(first, second)
    drawn = [(n + 1) / (of + 2) for n, of in (first, second)]
    apart = sum(rate * (1 - rate) / 5_000 for rate in drawn)
    together = (1_041 / 10_002) * (1 - 1_041 / 10_002) * (2 / 5_000)
    spread = sqrt(max(apart, together))
    weight = MIXTURE * 2_500
    assert found.high - found.rate == pytest.approx(spread * sqrt((1 + 1 / weight) * log((1 + weight) / ALPHA**2)))
    assert found.rate - found.low == pytest.approx(found.high - found.rate)


def test_where_the_interval_begins_at_zero_p_is_alpha() -> None:
    low, high = 0, 1_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if minus((500 + middle, 5_000), (500, 5_000)).is_more else (middle, high)
    assert minus((500 + low, 5_000), (500, 5_000)).p > ALPHA >= minus((500 + high, 5_000), (500, 5_000)).p


@given(
    st.integers(1, 5_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))),
    st.integers(1, 5_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))),
    st.integers(1, 6),
)
def test_any_difference_has_its_rate_inside_is_its_own_mirror_and_agrees_with_p(
    first: tuple[int, int], second: tuple[int, int], comparisons: int
) -> None:
    found, mirrored = minus(first, second, comparisons), minus(second, first, comparisons)
    assert -1 <= found.low <= found.rate <= found.high <= 1
    assert (found.rate, found.low, found.high) == pytest.approx((-mirrored.rate, -mirrored.high, -mirrored.low))
    assert found.p == pytest.approx(mirrored.p)
    assert 0 <= found.p <= 1
    assert (found.p <= ALPHA) == (found.is_more or found.is_less)


def test_more_comparisons_need_more() -> None:
    once, often = minus((600, 5_000), (480, 5_000)), minus((600, 5_000), (480, 5_000), comparisons=10)
    assert once.is_more
    assert often.low < once.low
    assert often.p == pytest.approx(10 * once.p)


def test_a_few_people_never_tell_anything() -> None:
    for of in range(1, 30):
        assert not minus((of, of), (0, of)).is_more or of > 20, of


def test_of_nobody_there_is_no_share() -> None:
    assert share(0, 0) is None
    assert difference(Share(1, 2, 0.5, 0, 1), share(0, 0)) is None
