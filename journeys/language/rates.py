"""Shares of people and their differences, with intervals that hold however often somebody looks: pure arithmetic.

Usual intervals (Wilson, Newcombe, a t-test) are right for one look at a size that was fixed beforehand. Who looks every day and stops
when it looks good finds differences that are not there: with a look after every conversion, in more than one of three experiments without
any. These here are confidence sequences: with 95 % the truth lies in all of them, from the first person to the last.

A share: the mixture of H. Robbins, Ann. Math. Stat. 41, 1970, over Jeffreys' prior; exact for every number of people.
A difference between groups into which people come one after another, as into a journey: Robbins' normal mixture with the variance as it
was found, as in R. Johari, P. Koomen, L. Pekelis, D. Walsh, Operations Research 70, 2022 (mixture sequential probability ratio test), and
in I. Waudby-Smith and others, Ann. Statist. 52, 2024 (asymptotic confidence sequences). Each rate in its variance is drawn to the middle as
if one more had converted and one more had not (A. Agresti, B. Caffo, Am. Stat. 54, 2000), so that few people tell little.
A difference between groups in which everybody is before anybody converts, as in a campaign: where it makes none who is in which group,
conversions come as balls out of an urn, each person as likely next as any other, whatever the rate. That is held against a mixture of urns
that favour one group (J. ter Schure and others, The anytime-valid logrank test, New Engl. J. Stat. Data Sci. 2, 2024; the mixture as in I.
Waudby-Smith, A. Ramdas, Confidence sequences for sampling without replacement, NeurIPS 2020): exact for every number of people. The
interval holds what the first group may have changed for its own people: without so many conversions it and the second would be one urn
(P. Rosenbaum, Effects attributable to treatment, Biometrika 88, 2001).
tests/journeys/language/test_peeking.py shows what they cost and hold.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, lgamma, log, log1p, sqrt

ALPHA = 0.05
# The interval of a difference is narrowest, for the people that it has, at about 5,000 in each of two equal groups.
MIXTURE = 8.8 / 2_500
# And of one between groups that are whole from the beginning, for the conversions that it has, at about nine times as many as this.
URN_MIXTURE = 100
_HALVINGS = 60


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
    """One share minus another, from -1 to 1. An interval that holds 0 means: the numbers do not tell which is greater.

    `p` is at most alpha exactly when the interval does not hold 0; it too may be looked at as often as one likes.
    """

    rate: float
    low: float
    high: float
    p: float

    @property
    def is_more(self) -> bool:
        """Whether the first is surely greater."""
        return self.low > 0

    @property
    def is_less(self) -> bool:
        """Whether the first is surely smaller."""
        return self.high < 0


def share(n: int, of: int, alpha: float = ALPHA) -> Share | None:
    """How many of how many; None of nobody."""
    if of == 0:
        return None
    rate = n / of
    bound = _log_mixture(n, of) + log(alpha)

    def is_possible(truth: float) -> bool:
        return _log_likelihood(n, of, truth) > bound

    low = _edge(is_possible, rate, 0.0) if n else 0.0
    high = _edge(is_possible, rate, 1.0) if n < of else 1.0
    return Share(n, of, rate, low, high)


def difference(first: Share | None, second: Share | None, *, comparisons: int = 1, alpha: float = ALPHA) -> Difference | None:
    """The first share minus the second, where people come one after another; None where one of them is of nobody.

    Of several comparisons that are read together, say how many: alpha then holds for all of them at once (Bonferroni).
    """
    if first is None or second is None:
        return None
    rate = first.rate - second.rate
    variance = max(_variance(first.n, first.of) + _variance(second.n, second.of), _variance_if_equal(first, second))
    weight = MIXTURE * first.of * second.of / (first.of + second.of)
    reach = sqrt(variance * (1 + 1 / weight) * (log1p(weight) + 2 * log(comparisons / alpha)))
    evidence = rate * rate / variance * weight / (1 + weight) / 2 - log1p(weight) / 2
    return Difference(rate, max(-1.0, rate - reach), min(1.0, rate + reach), p=min(1.0, comparisons * exp(-evidence)))


def difference_at_once(first: Share | None, second: Share | None, *, comparisons: int = 1, alpha: float = ALPHA) -> Difference | None:
    """The same where everybody was in their group before anybody converted: what the first has changed for its own people so far."""
    if first is None or second is None:
        return None
    evidence, enough = log_evidence(first.n, first.of, second.n, second.of), log(comparisons / alpha)

    def is_possible(without: float) -> bool:
        return log_evidence(without, first.of, second.n, second.of) < enough

    expected, everybody = second.rate * first.of, float(first.of)
    most = everybody if is_possible(everybody) else _edge(is_possible, expected, everybody)
    fewest = 0.0 if is_possible(0.0) else _edge(is_possible, expected, 0.0)
    low, high = (first.n - most) / first.of, (first.n - fewest) / first.of
    return Difference(first.rate - second.rate, low, high, p=min(1.0, comparisons * exp(-evidence)))


def log_evidence(n: float, of: int, second_n: int, second_of: int) -> float:
    """The logarithm of how many times likelier these conversions are where an urn favours one group than where none is favoured.

    Where none is, this ever reaches log(20) in at most one experiment of twenty (Ville's inequality).
    """
    people, converted = of + second_of, n + second_n
    weight, second_weight = URN_MIXTURE * of / people, URN_MIXTURE * second_of / people
    favoured = _log_rising(weight, n) + _log_rising(second_weight, second_n) - _log_rising(URN_MIXTURE, converted)
    return favoured - _log_orders(of, n) - _log_orders(second_of, second_n) + _log_orders(people, converted)


def _log_rising(start: float, steps: float) -> float:
    return lgamma(start + steps) - lgamma(start)


def _log_orders(people: int, n: float) -> float:
    """In how many orders n of so many can convert."""
    return lgamma(people + 1) - lgamma(people - n + 1)


def _variance(n: int, of: int) -> float:
    drawn = (n + 1) / (of + 2)
    return drawn * (1 - drawn) / of


def _variance_if_equal(first: Share, second: Share) -> float:
    """A small group in which nobody has converted yet would say of itself that it hardly varies."""
    of = first.of + second.of
    return _variance(first.n + second.n, of) * of * of / (first.of * second.of)


def _log_mixture(n: int, of: int) -> float:
    """The likelihood of what was found, over all rates as Jeffreys' prior, Beta(1/2, 1/2), weighs them."""
    return lgamma(n + 0.5) + lgamma(of - n + 0.5) - lgamma(of + 1) - 2 * lgamma(0.5)


def _log_likelihood(n: int, of: int, truth: float) -> float:
    converted = n * log(truth) if truth > 0 else (-inf if n else 0.0)
    others = (of - n) * log1p(-truth) if truth < 1 else (-inf if n < of else 0.0)
    return converted + others


def _edge(is_possible: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where possible ends, between a rate that is possible and one that is not."""
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_possible(middle) else (inside, middle)
    return outside
