"""Experiments by the thousand, looked at after every single conversion until somebody is declared better: seeded, and quick."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import log, log1p

from journeys.language.rates import ALPHA, Share, difference


@dataclass(frozen=True)
class Trial:
    """Two arms. Of 2 ** `halvings` people one comes into the second arm, by chance, as the hash draws them."""

    first: float
    second: float
    people: int
    halvings: int = 1

    @property
    def weight(self) -> float:
        return float(0.5**self.halvings)

    @property
    def rate(self) -> float:
        return self.first * (1 - self.weight) + self.second * self.weight


@dataclass(frozen=True)
class Verdict:
    """After how many people which arm was declared better, and whether a usual interval would have said so by then."""

    people: int | None
    is_second: bool
    usual: bool


def verdicts(trial: Trial, experiments: int, seed: int) -> Iterator[Verdict]:
    """One for each experiment."""
    chance = random.Random(seed)
    for _ in range(experiments):
        yield _looked_at(trial, chance)


def _looked_at(trial: Trial, chance: random.Random) -> Verdict:
    """Only a conversion can carry a difference over its threshold, so whoever looks after each has looked always."""
    never, of_second = log1p(-trial.rate), trial.second * trial.weight / trial.rate
    people, ns, ofs, usual = 0, [0, 0], [0, 0], False
    while True:
        gap = int(log(1.0 - chance.random()) / never) + 1
        people += gap
        if people > trial.people:
            return Verdict(None, False, usual)
        is_second = chance.random() < of_second
        others = _in_second(chance, gap - 1, trial.halvings)
        ofs[0] += gap - 1 - others + (not is_second)
        ofs[1] += others + is_second
        ns[is_second] += 1
        if ofs[0] and ofs[1]:
            first, second = ns[0] / ofs[0], ns[1] / ofs[1]
            minus = second - first
            variance = first * (1 - first) / ofs[0] + second * (1 - second) / ofs[1]
            # A threshold that always holds lies above 2.9 standard errors, so below 1.96 nothing has to be asked.
            if minus * minus > 3.84 * variance:
                usual = usual or sum(ns) >= 20
                found = difference(_bare(ns[1], ofs[1]), _bare(ns[0], ofs[0]))
                if found and found.p <= ALPHA:
                    return Verdict(people, minus > 0, usual)


def _in_second(chance: random.Random, people: int, halvings: int) -> int:
    if not people:
        return 0
    drawn = chance.getrandbits(people)
    for _ in range(halvings - 1):
        drawn &= chance.getrandbits(people)
    return drawn.bit_count()


def _bare(n: int, of: int) -> Share:
    """Without its own interval, which no comparison reads."""
    return Share(n, of, n / of, 0.0, 1.0)
