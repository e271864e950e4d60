"""From what was counted of a run to results: versions against the first and who was held out, and what becomes of the rest. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime

from pydantic import BaseModel, Field

from api.results import DifferenceView, ShareView
from journeys.language.assign import HOLDOUT
from journeys.language.campaigns import REST, Campaign
from journeys.language.experiments import Exposed
from journeys.language.mismatch import is_mismatched
from journeys.language.rates import Difference, Share, difference_at_once, share
from storage.campaign_winners import Verdict


class VersionResult(BaseModel):
    """Who was to get one version, and how many of them reached the goal, whether it was sent to them or not."""

    version: str = Field(description="message: the only one; rest: who waited for a winner", examples=["bold"])
    weight: float | None = Field(description="percent of those who get versions; null for the rest", examples=[50])
    people: int = Field(description="who were to get it, also those whom it did not reach", examples=[5000])
    sent: int = Field(description="to so many of them it was sent", examples=[4600])
    converted: ShareView | None
    against_first: DifferenceView | None = Field(
        description="this version minus the first; null for the first, for the rest, and while messages of either are left"
    )
    against_holdout: DifferenceView | None = Field(description="this version minus who was held out; null while messages of it are left")


class WinnerView(BaseModel):
    """What becomes of those who wait for a winner."""

    version: str | None = Field(description="what the rest get; null: nothing yet, or nothing at all", examples=["bold"])
    because: str = Field(
        description="too_early, too_few, not_clear: undecided; suspect: people are not spread as the weights say, so a person must decide; "
        "winner, by_hand, control, leader, nothing: decided",
        examples=["winner"],
    )
    tested_at: datetime
    look_at: datetime | None = Field(description="when it is looked at again; null: it is decided, or waits for a person")
    decided_at: datetime | None


_MISMATCHED = "more or fewer people were to get a version than its weight says: something is broken; trust no result"


class RunResults(BaseModel):
    """What a run came to, by version. Its intervals hold however often somebody looks."""

    versions: list[VersionResult]
    held_out: VersionResult | None
    is_mismatched: bool = Field(description=_MISMATCHED)
    winner: WinnerView | None = Field(description="null: nothing is tested, or tested people are still being written to")


def results_of(
    campaign: Campaign, counts: Mapping[str, Exposed], verdict: Verdict | None, *, still_sent: Collection[str] = ()
) -> RunResults:
    """The results of a run of this campaign, which has a goal. `still_sent`: versions of which messages are left."""
    shares = {name: share(each.converted, each.people) for name, each in counts.items()}
    names = list(campaign.messages)
    weights = {each.name: float(each.weight) for each in campaign.versions}
    exposed = {name: counts.get(name, Exposed(0, 0, 0)) for name in (*names, REST, HOLDOUT)}
    # Who waits for a message has had no time for the goal.
    whole = {name: found for name, found in shares.items() if name not in still_sent}
    control, without = whole.get(names[0]), whole.get(HOLDOUT)

    def result(name: str, *, is_compared: bool = False) -> VersionResult:
        first = difference_at_once(whole.get(name), control, comparisons=len(names) - 1) if is_compared else None
        held = difference_at_once(whole.get(name), without, comparisons=len(names)) if name != HOLDOUT else None
        return VersionResult(
            version=name,
            weight=weights.get(name),
            people=exposed[name].people,
            sent=exposed[name].sent,
            converted=_share_view(shares.get(name)),
            against_first=_difference_view(first),
            against_holdout=_difference_view(held),
        )

    return RunResults(
        versions=[result(name, is_compared=place > 0) for place, name in enumerate(names)]
        + ([result(REST)] if exposed[REST].people else []),
        held_out=result(HOLDOUT) if exposed[HOLDOUT].people else None,
        is_mismatched=bool(weights) and is_mismatched([exposed[name].people for name in names], [weights[name] for name in names]),
        winner=_winner_view(verdict),
    )


def _winner_view(verdict: Verdict | None) -> WinnerView | None:
    if verdict is None:
        return None
    return WinnerView(version=verdict.variant, **{name: value for name, value in asdict(verdict).items() if name != "variant"})


def _share_view(found: Share | None) -> ShareView | None:
    return ShareView(**asdict(found)) if found else None


def _difference_view(found: Difference | None) -> DifferenceView | None:
    return DifferenceView(**asdict(found)) if found else None
