"""Arms and holdout by a pure hash: the same for one user on any machine, on re-entry, in replay and in SQL."""

import hashlib
from typing import TYPE_CHECKING

from journeys.language.steps import Arm, Split

if TYPE_CHECKING:
    from journeys.language.journey import Journey

BUCKETS = 10_000
HOLDOUT = "$holdout"


def bucket(app: str, journey: str, step: str, user: str) -> int:
    """First 8 bytes, big-endian, of SHA-256 over the four parts, each behind its length in 4 big-endian bytes, modulo 10,000."""
    parts = (part.encode() for part in (app, journey, step, user))
    digest = hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def arm(split: Split, app: str, journey: str, user: str) -> Arm:
    """The arm of a user: contiguous ranges of buckets in the declared order; the last takes what rounding leaves."""
    place = bucket(app, journey, split.id, user)
    end = 0.0
    for each in split.arms:
        end += each.weight
        if place < round(end * (BUCKETS // 100)):
            return each
    return split.arms[-1]


def in_holdout(journey: "Journey", app: str, user: str) -> bool:
    """Whether a user who enters gets nothing and is only measured."""
    return bucket(app, journey.name, HOLDOUT, user) < round(journey.holdout * (BUCKETS // 100))
