"""Intervals that hold under every look: their formulas, their edges, and what they agree on. What they promise: test_peeking.py."""

from math import comb, exp, lgamma, log, prod, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.language.rates import ALPHA, MIXTURE, URN_MIXTURE, Difference, Share, difference, difference_at_once, log_evidence, share


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


# Groups that are whole from the beginning -----------------------------------------------------------------------------------------------


def at_once(first: tuple[int, int], second: tuple[int, int], comparisons: int = 1) -> Difference:
    found = difference_at_once(share(*first), share(*second), comparisons=comparisons)
    assert found is not None
    return found


def test_evidence_of_an_urn_is_a_beta_binomial_against_a_hypergeometric_distribution() -> None:
    """Of 6 conversions 5 are of the first 10 people, and 1 of the other 30: by counting, and by integers alone."""
    urn = comb(10, 5) * comb(30, 1) / comb(40, 6)
    weight, second_weight = URN_MIXTURE * 10 / 40, URN_MIXTURE * 30 / 40
    favoured = comb(6, 5) * prod(weight + n for n in range(5)) * second_weight / prod(URN_MIXTURE + n for n in range(6))
    assert exp(log_evidence(5, 10, 1, 30)) == pytest.approx(favoured / urn)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_evidence_is_fair_at_every_conversion(first: int, second: int, data: st.DataObject) -> None:
    """Whoever bets on a difference that is not there wins nothing on average by the next conversion: the whole of the promise."""
    n, second_n = data.draw(st.integers(0, first - 1)), data.draw(st.integers(0, second - 1))
    is_first = (first - n) / (first + second - n - second_n)
    before = exp(log_evidence(n, first, second_n, second))
    after = exp(log_evidence(n + 1, first, second_n, second)) * is_first
    after += exp(log_evidence(n, first, second_n + 1, second)) * (1 - is_first)
    assert after == pytest.approx(before, rel=1e-6)


@given(
    st.integers(1, 5_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))),
    st.integers(1, 5_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))),
    st.integers(1, 6),
)
def test_of_whole_groups_too_the_rate_is_inside_and_p_agrees_whichever_is_named_first(
    first: tuple[int, int], second: tuple[int, int], comparisons: int
) -> None:
    found, mirrored = at_once(first, second, comparisons), at_once(second, first, comparisons)
    assert -1 <= found.low <= found.rate + 1e-9
    assert found.rate - 1e-9 <= found.high <= 1
    assert found.p == pytest.approx(mirrored.p, rel=1e-6)
    assert 0 <= found.p <= 1
    if abs(found.p - ALPHA) > 1e-9:
        assert (found.p <= ALPHA) == (found.is_more or found.is_less)
        assert (found.is_more, found.is_less) == (mirrored.is_less, mirrored.is_more)


def test_at_the_ends_of_the_interval_what_is_left_is_just_possible_in_one_urn() -> None:
    found = at_once((560, 5_000), (480, 5_000))
    for end in (found.low, found.high):
        assert log_evidence(560 - end * 5_000, 5_000, 480, 5_000) == pytest.approx(log(1 / ALPHA), rel=1e-6)


def test_the_more_of_everybody_have_converted_the_more_a_difference_tells() -> None:
    """No more can be left to chance where hardly anybody is left: a usual interval knows that too."""
    assert at_once((900, 1_000), (850, 1_000)).p < at_once((500, 1_000), (450, 1_000)).p
