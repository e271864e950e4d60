"""Experiments of campaigns: variants go to a share of the people, later the winner to the rest. Values and decisions; no clock, no I/O.

Ask `what_next` where its answer is written down, in an activity: it computes with logarithms, on whose last digit machines may differ.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator

from journeys.language import assign
from journeys.language.durations import Duration, minutes
from journeys.language.errors import Problem
from journeys.language.events import Goal
from journeys.language.mismatch import is_mismatched
from journeys.language.nodes import KW_ONLY, Node, node
from journeys.language.rates import Difference, difference_at_once, share

LOOK_AGAIN = minutes(10)
WHOLE = 100


@node
class Variant(Node):
    """One of several versions of what is sent, to so many percent of those to whom variants are sent. The first is the control."""

    name: str
    weight: int | float
    _: KW_ONLY
    kind: Literal["variant"] = "variant"


@node
class WinnerRule(Node):
    """When which variant goes to the rest.

    `tested` percent of the people get variants. No winner is declared before `after`, nor where a variant was sent to fewer than `at_least`
    people, nor by less than the interval that holds under every look. At `until` without a winner the rest get what `otherwise` says: the
    control, the variant that leads although nothing is sure, or nothing.
    """

    tested: int | float
    after: Duration
    until: Duration
    _: KW_ONLY
    at_least: int = 200
    otherwise: Literal["control", "leader", "nothing"] = "control"
    kind: Literal["winner_rule"] = "winner_rule"


@node
class Experiment(Node):
    """Variants, what counts as a conversion and for how long after the send, and how a winner is found; without one there is no rest."""

    variants: Annotated[Sequence[Variant], AfterValidator(tuple)]
    goal: Goal
    _: KW_ONLY
    winner: WinnerRule | None = None
    holdout: int | float = 0
    kind: Literal["experiment"] = "experiment"

    @property
    def control(self) -> Variant:
        return self.variants[0]


@dataclass(frozen=True)
class Exposed:
    """So many people were to get a variant, so many reached the goal within its window, and to so many it was sent.

    Rates are of all who were to get it: those whom a variant can reach are other people than those whom another one can.
    """

    people: int
    converted: int
    sent: int


@dataclass(frozen=True)
class LookAgain:
    """Nothing yet; look again at `look_at`. `because` is too_early, too_few people so far, or not_clear."""

    look_at: datetime
    because: Literal["too_early", "too_few", "not_clear"]


@dataclass(frozen=True)
class Winner:
    """It goes to the rest. `against`: each other variant minus the control, by name, with the interval by which it was decided."""

    variant: str
    against: Mapping[str, Difference]


@dataclass(frozen=True)
class NoWinner:
    """The time is over and nothing is sure: the rest get `variant`, which is none that won, or nothing where it is None."""

    variant: str | None
    because: Literal["too_few", "not_clear"]


@dataclass(frozen=True)
class Suspect:
    """People are not spread over variants as the weights say: no result can be trusted, so a person must decide what the rest get."""


Rest: TypeAlias = Literal["held_out", "rest"]
Next: TypeAlias = LookAgain | Winner | NoWinner | Suspect


def part_of(experiment: Experiment, app: str, campaign: str, user: str) -> Variant | Rest:
    """What a user of the segment gets at first: a variant, nothing but being measured, or the winner later. The same in SQL: assign.py."""
    if assign.in_campaign_holdout(experiment.holdout, app, campaign, user):
        return "held_out"
    if experiment.winner is not None and not assign.is_tested(experiment.winner.tested, app, campaign, user):
        return "rest"
    return experiment.variants[assign.variant_place(experiment.variants, app, campaign, user)]


def what_next(experiment: Experiment, counts: Mapping[str, Exposed], sent_at: datetime, now: datetime) -> Next:
    """What happens to the rest now, that the tested people have all been written to at `sent_at`. Asked as often as one likes.

    Everybody is counted for as long as everybody else; a variant without counts is nobody's. Raises ValueError for an experiment without
    a rule: nothing is left over there.
    """
    if experiment.winner is None:
        raise ValueError("an experiment without a winner rule has sent everything")
    exposed = {each.name: counts.get(each.name, Exposed(0, 0, 0)) for each in experiment.variants}
    if is_mismatched([each.people for each in exposed.values()], [each.weight for each in experiment.variants]):
        return Suspect()
    if now < sent_at + experiment.winner.after.timedelta:
        return LookAgain(sent_at + experiment.winner.after.timedelta, "too_early")
    too_few = min(each.sent for each in exposed.values()) < experiment.winner.at_least
    found = None if too_few else winner(experiment, exposed)
    return found or _without_winner(experiment, experiment.winner, exposed, sent_at, now, too_few=too_few)


def winner(experiment: Experiment, exposed: Mapping[str, Exposed]) -> Winner | None:
    """The variant that is surely better than the control, the best of several; or the control, when all others are surely worse."""
    shares = {name: share(each.converted, each.people) for name, each in exposed.items()}
    control, others = experiment.control.name, experiment.variants[1:]
    found = {each.name: difference_at_once(shares[each.name], shares[control], comparisons=len(others)) for each in others}
    against = {name: minus for name, minus in found.items() if minus}
    better = [name for name, minus in against.items() if minus.is_more]
    if better:
        return Winner(max(better, key=lambda name: against[name].rate), against)
    is_best = len(against) == len(others) and all(minus.is_less for minus in against.values())
    return Winner(control, against) if is_best else None


def problems(experiment: Experiment) -> Iterator[Problem]:
    """Everything that is wrong with it, for whoever takes it in; what is stored already is not asked again."""
    names = [each.name for each in experiment.variants]
    if len(names) < 2:
        yield Problem("/variants", "too_few_variants", "name two at least: one alone has nothing to be compared with")
    if len(set(names)) < len(names):
        yield Problem("/variants", "variant_not_unique", "each variant has a name of its own")
    weights = [Decimal(str(each.weight)) for each in experiment.variants]
    for place, weight in enumerate(weights):
        if weight <= 0 or weight * 100 % 1:
            yield Problem(f"/variants/{place}/weight", "weight_percent", "a percentage above 0, with two decimals at most")
    if sum(weights) != WHOLE:
        yield Problem("/variants", "weights_not_100", "make the weights sum to 100")
    if not 0 <= experiment.holdout < WHOLE or Decimal(str(experiment.holdout)) * 100 % 1:
        yield Problem("/holdout", "holdout_percent", "a percentage from 0 to below 100, with two decimals at most")
    if experiment.goal.within.seconds <= 0:
        yield Problem("/goal/within", "no_duration", "let the goal count for some time after the send")
    if experiment.winner is not None:
        yield from _problems_of_rule(experiment.winner)


def _problems_of_rule(rule: WinnerRule) -> Iterator[Problem]:
    if not 0 < rule.tested < WHOLE or Decimal(str(rule.tested)) * 100 % 1:
        yield Problem("/winner/tested", "tested_percent", "above 0 and below 100, with two decimals at most: the rest gets the winner")
    if rule.after.seconds < 0:
        yield Problem("/winner/after", "no_duration", "0 or more after the send")
    if rule.until.seconds <= max(rule.after.seconds, 0):
        yield Problem("/winner/until", "until_before_after", "later than `after`")
    if rule.at_least < 1:
        yield Problem("/winner/at_least", "no_people", "1 or more; 200 is sensible")


def _without_winner(
    experiment: Experiment, rule: WinnerRule, exposed: Mapping[str, Exposed], sent_at: datetime, now: datetime, *, too_few: bool
) -> LookAgain | NoWinner:
    because: Literal["too_few", "not_clear"] = "too_few" if too_few else "not_clear"
    until = sent_at + rule.until.timedelta
    if now < until:
        return LookAgain(min(until, now + LOOK_AGAIN.timedelta), because)
    match rule.otherwise:
        case "control":
            return NoWinner(experiment.control.name, because)
        case "leader":
            return NoWinner(_leader(exposed), because)
        case "nothing":
            return NoWinner(None, because)


def _leader(exposed: Mapping[str, Exposed]) -> str:
    """The greatest rate; of equal ones the first."""
    return max(exposed, key=lambda name: exposed[name].converted / max(1, exposed[name].people))
