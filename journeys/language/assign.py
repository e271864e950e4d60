"""Arms and holdout by a pure hash: the same for one user on any machine, on re-entry, in replay and in SQL."""

import hashlib
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from journeys.language.conditions import Sample
from journeys.language.steps import Arm, Split

if TYPE_CHECKING:
    from journeys.language.journey import Journey

BUCKETS = 10_000
HOLDOUT = "$holdout"
SAMPLE = "$sample"


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
    weights = accumulate(arm.weight for arm in split.arms[:-1])
    return (*(share(weight) for weight in weights), BUCKETS)


def in_holdout(journey: "Journey", app: str, user: str) -> bool:
    """Whether a user who enters gets nothing and is only measured."""
    return bucket(app, journey.name, HOLDOUT, user) < share(journey.holdout)


def in_sample(sample: Sample, app: str, user: str) -> bool:
    """Whether a user is drawn: as if in the step `salt` of a journey named `$sample`."""
    return bucket(app, SAMPLE, sample.salt or "", user) < share(sample.percent)


def share(percent: float) -> int:
    """How many of the buckets a percentage takes."""
    return round(percent * (BUCKETS // 100))
