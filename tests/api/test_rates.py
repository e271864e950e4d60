"""Intervals against published values."""

import pytest

from api.rates import difference, share


@pytest.mark.parametrize(
    ("n", "of", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3 (Wilson without continuity correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_a_share_has_the_published_interval(n: int, of: int, low: float, high: float) -> None:
    found = share(n, of)
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_a_difference_has_the_published_interval(first: tuple[int, int], second: tuple[int, int], low: float, high: float) -> None:
    found = difference(share(*first), share(*second))
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_of_nobody_there_is_no_share() -> None:
    assert share(0, 0) is None
    assert difference(share(1, 2), share(0, 0)) is None
