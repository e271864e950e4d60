"""Shares of people with the interval that a sample of that size allows: pure arithmetic, no verdict on who won.

A share: Wilson's score interval (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927). A difference of two shares: Newcombe's hybrid score
interval, method 10 of R. G. Newcombe, Statistics in Medicine 17, 1998. Both at 95 %, both honest for small numbers and for 0 and 100 %.
"""

from dataclasses import dataclass
from math import sqrt

Z = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """So many of so many. `rate`, `low` and `high` are from 0 to 1."""

    n: int
    of: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """One share minus another, from -1 to 1. An interval that holds 0 means: the numbers do not tell which is greater."""

    rate: float
    low: float
    high: float


def share(n: int, of: int) -> Share | None:
    """How many of how many; None of nobody."""
    if of == 0:
        return None
    rate = n / of
    middle = (rate + Z * Z / (2 * of)) / (1 + Z * Z / of)
    reach = Z / (1 + Z * Z / of) * sqrt(rate * (1 - rate) / of + Z * Z / (4 * of * of))
    return Share(n, of, rate, max(0.0, middle - reach) if n else 0.0, min(1.0, middle + reach) if n < of else 1.0)


def difference(first: Share | None, second: Share | None) -> Difference | None:
    """The first share minus the second; None where one of them is of nobody."""
    if first is None or second is None:
        return None
    rate = first.rate - second.rate
    below = sqrt((first.rate - first.low) ** 2 + (second.high - second.rate) ** 2)
    above = sqrt((first.high - first.rate) ** 2 + (second.rate - second.low) ** 2)
    return Difference(rate, rate - below, rate + above)
