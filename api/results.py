"""From what was counted to results: shares, arms against each other and the holdout, and whether to trust them. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pydantic import BaseModel, Field

from api.funnel import Tally, tally
from journeys.language.journey import Journey
from journeys.language.mismatch import is_mismatched
from journeys.language.rates import Difference, Share, difference, share
from journeys.language.steps import Split
from journeys.language.walk import all_steps
from storage.reports import Counted


class ShareView(BaseModel):
    """So many of so many, with a 95 % interval that holds however often it is looked at."""

    n: int = Field(examples=[120])
    of: int = Field(examples=[1000])
    rate: float = Field(description="from 0 to 1", examples=[0.12])
    low: float = Field(examples=[0.0896])
    high: float = Field(examples=[0.1559])


class DifferenceView(BaseModel):
    """One rate minus another, with a 95 % interval that holds however often it is looked at, for all arms together.

    One that holds 0 tells nothing yet.
    """

    rate: float = Field(description="from -1 to 1", examples=[0.04])
    low: float = Field(examples=[-0.0112])
    high: float = Field(examples=[0.0912])
    p: float = Field(description="at most 0.05 exactly when the interval does not hold 0; it may be looked at as often", examples=[0.31])


class ArmReport(BaseModel):
    """Everybody whom a Split puts into one arm, also those who left before they came to it."""

    arm: str = Field(examples=["discount"])
    weight: float = Field(examples=[50])
    entered: int = Field(examples=[500])
    sent: int = Field(description="messages", examples=[480])
    converted: ShareView | None
    against_holdout: DifferenceView | None
    against_first: DifferenceView | None = Field(description="this arm minus the first one; null for the first")


class SplitReport(BaseModel):
    """One Split of the live version."""

    split: str = Field(examples=["offer"])
    arms: list[ArmReport]
    is_mismatched: bool = Field(description="more or fewer people are in an arm than its weight says: something is broken; trust no result")


class HoldoutReport(BaseModel):
    """People who entered and get nothing, measured like all others."""

    held_out: int = Field(examples=[100])
    converted: ShareView | None
    difference: DifferenceView | None = Field(description="people in the journey minus people in the holdout")
    is_mismatched: bool = Field(description="more or fewer people are held out than `holdout` says: something is broken; trust no result")


@dataclass(frozen=True)
class Found:
    """What was counted of a journey, with the definitions of the versions that its people are in."""

    live: Journey
    definitions: Mapping[int, Journey]
    rows: Sequence[Counted]

    @property
    def enter_again(self) -> bool:
        """Whether one person may count more than once: some version lets or let people enter again."""
        return any(each.again_after is not None or each.key is not None for each in self.definitions.values())


def splits_of(journey: Journey) -> list[Split]:
    """Every Split, in the order of the definition."""
    return [step for step in all_steps(journey.steps) if isinstance(step, Split)]


def converted_of(journey: Journey, counts: Tally) -> ShareView | None:
    """Who reached the goal; None without a goal, and of nobody."""
    return _share_view(_converted(journey, counts))


def holdout_of(found: Found, counts: Tally) -> HoldoutReport | None:
    """The holdout, and how these people differ from it; None when nobody is held out."""
    everybody = tally(found.rows)
    if not everybody.n("held_out"):
        return None
    without = _held_out(found.live, everybody)
    return HoldoutReport(
        held_out=everybody.n("held_out"),
        converted=_share_view(without),
        difference=_difference_view(difference(_converted(found.live, counts), without)),
        is_mismatched=not found.enter_again and _is_holdout_off(found),
    )


def split_of(found: Found, split: Split) -> SplitReport:
    """The arms of a Split, each against the holdout and against the first."""
    tallies = {arm.name: tally(found.rows, split.id, arm.name) for arm in split.arms}
    shares = {name: _converted(found.live, counts) for name, counts in tallies.items()}
    without, first = _held_out(found.live, tally(found.rows)), shares[split.arms[0].name]
    arms = len(split.arms)
    return SplitReport(
        split=split.id,
        arms=[
            ArmReport(
                arm=arm.name,
                weight=arm.weight,
                entered=tallies[arm.name].n("entered"),
                sent=sum(n for (what, _, detail), n in tallies[arm.name].by.items() if (what, detail) == ("message", "sent")),
                converted=_share_view(shares[arm.name]),
                against_holdout=_difference_view(difference(shares[arm.name], without, comparisons=arms)),
                against_first=_difference_view(difference(shares[arm.name], first, comparisons=arms - 1)) if place else None,
            )
            for place, arm in enumerate(split.arms)
        ],
        is_mismatched=not found.enter_again and _is_split_off(found, split),
    )


def _converted(journey: Journey, counts: Tally) -> Share | None:
    return share(counts.n("converted"), counts.n("entered")) if journey.goal else None


def _held_out(journey: Journey, counts: Tally) -> Share | None:
    return share(counts.n("held_out_converted"), counts.n("held_out")) if journey.goal else None


def _is_split_off(found: Found, split: Split) -> bool:
    """Whether arms hold more or fewer than their weights say: of each person, those of the version that they are in."""
    people: Counter[str] = Counter()
    expected: dict[str, float] = {}
    for row in found.rows:
        if (row.split, row.what) != (split.id, "entered"):
            continue
        people[row.arm] += row.n
        for each in splits_of(found.definitions[row.version]):
            if each.id == split.id:
                expected |= {arm.name: expected.get(arm.name, 0.0) + row.n * arm.weight for arm in each.arms}
    return is_mismatched([people[arm] for arm in expected], list(expected.values()))


def _is_holdout_off(found: Found) -> bool:
    people, expected = [0, 0], [0.0, 0.0]
    for row in found.rows:
        if row.split or row.what not in {"held_out", "entered"}:
            continue
        percent = found.definitions[row.version].holdout
        people[row.what == "entered"] += row.n
        expected = [expected[0] + row.n * percent, expected[1] + row.n * (100 - percent)]
    return is_mismatched(people, expected)


def _share_view(found: Share | None) -> ShareView | None:
    return ShareView(**asdict(found)) if found else None


def _difference_view(found: Difference | None) -> DifferenceView | None:
    return DifferenceView(**asdict(found)) if found else None
