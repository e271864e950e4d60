"""Arms, variants and holdouts by a pure hash: the same for one user on any machine, on re-entry, in replay and in SQL."""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from journeys.language.conditions import Sample
from journeys.language.steps import Arm, Split

if TYPE_CHECKING:
    from journeys.language.journey import Journey

BUCKETS = 10_000
HOLDOUT = "$holdout"
SAMPLE = "$sample"
TESTED = "$tested"
VARIANT = "$variant"


class Weighted(Protocol):
    """Something with a name that so many percent of the people get."""

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> float: ...


@dataclass(frozen=True)
class AppHoldout:
    """So many percent of an app's people enter no marketing journey and get no campaign. Another `salt` draws other people."""

    percent: float
    salt: str = ""


def bucket(app: str, journey: str, step: str, user: str) -> int:
    """First 8 bytes, big-endian, of SHA-256 over the four parts, each behind its length in 4 big-endian bytes, modulo 10,000."""
    parts = (part.encode() for part in (app, journey, step, user))
    digest = hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def arm(split: Split, app: str, journey: str, user: str) -> Arm:
    """The arm of a user: contiguous ranges of buckets in the declared order; the last takes what rounding leaves."""
    return split.arms[bisect_right(ends(split), bucket(app, journey, split.id, user))]


def ends(split: Split) -> tuple[int, ...]:
    """The bucket behind each arm's last one, in the declared order: what the SQL function `arm` takes."""
    return ends_of(split.arms)


def ends_of(parts: Sequence[Weighted]) -> tuple[int, ...]:
    """As for the arms of a Split, for whatever has weights that sum to 100."""
    weights = accumulate(part.weight for part in parts[:-1])
    return (*(share(weight) for weight in weights), BUCKETS)


def campaign(name: str) -> str:
    """What stands where a journey's name would: no journey is called so, thus a journey of the same name draws other people."""
    return f"$campaign/{name}"


def variant_place(variants: Sequence[Weighted], app: str, campaign_name: str, user: str) -> int:
    """Which of the variants a user gets, from 0: contiguous ranges in the declared order, as arms have."""
    return bisect_right(ends_of(variants), bucket(app, campaign(campaign_name), VARIANT, user))


def is_tested(percent: float, app: str, campaign_name: str, user: str) -> bool:
    """Whether a user is among the share to whom variants are sent before a winner goes to the rest."""
    return bucket(app, campaign(campaign_name), TESTED, user) < share(percent)


def in_campaign_holdout(percent: float, app: str, campaign_name: str, user: str) -> bool:
    """Whether a user of a campaign's segment gets nothing and is only measured."""
    return bucket(app, campaign(campaign_name), HOLDOUT, user) < share(percent)


def in_holdout(journey: "Journey", app: str, user: str) -> bool:
    """Whether a user who enters gets nothing and is only measured."""
    return bucket(app, journey.name, HOLDOUT, user) < share(journey.holdout)


def in_app_holdout(holdout: AppHoldout, app: str, user: str) -> bool:
    """Whether a user is held out of all marketing: as if in the step `salt` of a journey named `$holdout`."""
    return bucket(app, HOLDOUT, holdout.salt, user) < share(holdout.percent)


def in_sample(sample: Sample, app: str, user: str) -> bool:
    """Whether a user is drawn: as if in the step `salt` of a journey named `$sample`."""
    return bucket(app, SAMPLE, sample.salt or "", user) < share(sample.percent)


def share(percent: float) -> int:
    """How many of the buckets a percentage takes."""
    return round(percent * (BUCKETS // 100))
