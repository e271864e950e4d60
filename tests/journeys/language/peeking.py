"""Experiments by the thousand, looked at after every single conversion until somebody is declared better: seeded, and quick.

A `Trial` is a journey: people come one after another, each with their answer. A `Sending` is a campaign: everybody is written to, and
conversions trickle in from people who are in their groups already.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from math import log, log1p

from journeys.language import days, event, minutes
from journeys.language.experiments import Experiment, Exposed, Variant, Winner, WinnerRule, what_next
from journeys.language.rates import ALPHA, Share, difference, log_evidence

ENOUGH = log(1 / ALPHA)
SENT = datetime(2026, 11, 26, 9, tzinfo=UTC)
NEGLIGIBLE = 1e-13


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


@dataclass(frozen=True)
class Sending:
    """A campaign to so many people a version, of whom this share converts in the end. The first is the control."""

    people: int
    rates: Sequence[float]

    @property
    def experiment(self) -> Experiment:
        variants = [Variant(f"v{place}", 100 / len(self.rates)) for place in range(len(self.rates))]
        return Experiment(variants, event("x").within(days(1)), winner=WinnerRule(20, minutes(0), days(1)))


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
        if _would_usually_be_found(ns, ofs):
            usual = usual or sum(ns) >= 20
            if _is_found(ns, ofs):
                return Verdict(people, ns[1] * ofs[0] > ns[0] * ofs[1], usual)


def _in_second(chance: random.Random, people: int, halvings: int) -> int:
    if not people:
        return 0
    drawn = chance.getrandbits(people)
    for _ in range(halvings - 1):
        drawn &= chance.getrandbits(people)
    return drawn.bit_count()


def misled_while_people_come(people: int, rate: float, slowness: float, experiments: int, seed: int) -> float:
    """The share of trials of two equal arms without any difference that find one, where conversions lag behind the people.

    They come one after another, and who converts does so on average `slowness` times as long afterwards as it takes them all to come.
    """
    chance = random.Random(seed)
    return sum(_is_misled(people, rate, slowness * people, chance) for _ in range(experiments)) / experiments


def _is_misled(people: int, rate: float, lag: float, chance: random.Random) -> bool:
    happening: list[tuple[float, int, bool]] = []
    for at in range(people):
        arm = chance.getrandbits(1)
        happening.append((at, arm, False))
        if chance.random() < rate:
            happening.append((at + chance.expovariate(1 / lag), arm, True))
    ns, ofs = [0, 0], [0, 0]
    for _, arm, has_converted in sorted(happening):
        if not has_converted:
            ofs[arm] += 1
            continue
        ns[arm] += 1
        if _would_usually_be_found(ns, ofs) and _is_found(ns, ofs):
            return True
    return False


def _would_usually_be_found(ns: Sequence[int], ofs: Sequence[int]) -> bool:
    """A threshold that always holds lies above 2.9 standard errors, so below 1.96 nothing has to be asked."""
    if not (ofs[0] and ofs[1]):
        return False
    first, second = ns[0] / ofs[0], ns[1] / ofs[1]
    return (second - first) ** 2 > 3.84 * (first * (1 - first) / ofs[0] + second * (1 - second) / ofs[1])


def _is_found(ns: Sequence[int], ofs: Sequence[int]) -> bool:
    found = difference(_bare(ns[1], ofs[1]), _bare(ns[0], ofs[0]))
    return found is not None and found.p <= ALPHA


def _bare(n: int, of: int) -> Share:
    """Without its own interval, which no comparison reads."""
    return Share(n, of, n / of, 0.0, 1.0)


def misled_by_urn(first_of: int, second_of: int, conversions: int) -> float:
    """Exactly how likely a campaign without any difference is to find one at some look: over every order of its conversions."""
    bounds = _bounds(first_of, second_of, conversions)
    likely, misled = {0: 1.0}, 0.0
    for converted in range(conversions):
        following: dict[int, float] = {}
        for n, chance in likely.items():
            is_first = (first_of - n) / (first_of + second_of - converted)
            following[n + 1] = following.get(n + 1, 0.0) + chance * is_first
            following[n] = following.get(n, 0.0) + chance * (1 - is_first)
        low, high = bounds[converted + 1]
        misled += sum(chance for n, chance in following.items() if not low < n < high)
        likely = {n: chance for n, chance in following.items() if low < n < high and chance > NEGLIGIBLE}
    return misled


def _bounds(first_of: int, second_of: int, conversions: int) -> list[tuple[int, int]]:
    """After so many conversions, with how many of the first group a difference is found: as few as the one, as many as the other."""
    found, low, high = [], -1, 1

    def is_found(n: int, converted: int) -> bool:
        return 0 <= converted - n <= second_of and log_evidence(n, first_of, converted - n, second_of) >= ENOUGH

    for converted in range(conversions + 1):
        high = next(n for n in count(high) if n > min(converted, first_of) or is_found(n, converted))
        while is_found(low + 1, converted) and (low + 1) * (first_of + second_of) < converted * first_of:
            low += 1
        found.append((low, high))
    return found


def winners(sending: Sending, experiments: int, seed: int) -> Iterator[str | None]:
    """Of each such campaign, who won when it was looked at after every conversion; None: nobody."""
    experiment, chance = sending.experiment, random.Random(seed)
    better, worse = _clear_of_control(sending, comparisons=len(sending.rates) - 1)
    for _ in range(experiments):
        yield _won(sending, experiment, chance, better, worse)


def _won(sending: Sending, experiment: Experiment, chance: random.Random, better: Sequence[int], worse: Sequence[int]) -> str | None:
    converted = [0] * len(sending.rates)
    for place in _order(sending, chance):
        converted[place] += 1
        control = converted[0]
        # What cannot have changed anything is not asked: that takes most of the time.
        if converted[place] >= better[control] if place else max(converted[1:]) <= worse[control]:
            counts = {each.name: Exposed(sending.people, n, sending.people) for each, n in zip(experiment.variants, converted, strict=True)}
            found = what_next(experiment, counts, SENT, SENT + timedelta(hours=1))
            assert isinstance(found, Winner), counts
            return found.variant
    return None


def _order(sending: Sending, chance: random.Random) -> list[int]:
    """Which version each conversion belongs to, one after another."""
    order = [place for place, rate in enumerate(sending.rates) for _ in range(_converting(chance, sending.people, rate))]
    chance.shuffle(order)
    return order


def _converting(chance: random.Random, people: int, rate: float) -> int:
    never, at, found = log1p(-rate), 0, -1
    while at <= people:
        at += int(log(1.0 - chance.random()) / never) + 1
        found += 1
    return found


def _clear_of_control(sending: Sending, comparisons: int) -> tuple[list[int], list[int]]:
    """By the conversions of the control: with how many another one is surely better, and up to how many surely worse."""
    people, enough = sending.people, log(comparisons / ALPHA)
    better, worse, high, low = [], [], 1, -1
    for control in range(people + 1):
        high = next(n for n in count(max(high, control)) if n > people or log_evidence(n, people, control, people) >= enough)
        while low + 1 < control and log_evidence(low + 1, people, control, people) >= enough:
            low += 1
        better.append(high)
        worse.append(low)
    return better, worse
