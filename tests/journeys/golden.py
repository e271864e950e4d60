"""Golden vectors of the hash: they never change. They were computed by another program, in another language (sha256, BigInt)."""

import json
from dataclasses import dataclass
from pathlib import Path

from journeys.language import Arm, Split

_FILE = json.loads((Path(__file__).parent / "golden_arms.json").read_text())


@dataclass(frozen=True)
class GoldenBucket:
    app: str
    journey: str
    step: str
    subject: str
    bucket: int

    def __str__(self) -> str:
        return f"{self.bucket}-{self.subject[:20]!a}"


@dataclass(frozen=True)
class GoldenArm:
    """Somebody at the edge of an arm's range, in app `demo` and journey `cart-recovery`."""

    split: Split
    subject: str
    bucket: int
    arm: str

    def __str__(self) -> str:
        return f"{self.split.id}-{self.bucket}"


@dataclass(frozen=True)
class GoldenHoldout:
    """Somebody at the edge of the holdout of app `demo`."""

    percent: float
    salt: str
    subject: str
    bucket: int
    held_out: bool

    def __str__(self) -> str:
        return f"{self.percent}-{self.salt!a}-{self.bucket}"


@dataclass(frozen=True)
class GoldenVariant:
    """Somebody at the edge of a variant's range, in a campaign of app `demo`."""

    campaign: str
    variants: tuple[Arm, ...]
    subject: str
    bucket: int
    variant: str

    def __str__(self) -> str:
        return f"{self.campaign}-{self.bucket}"


BUCKETS = [GoldenBucket(**vector) for vector in _FILE["buckets"]] + [
    GoldenBucket(long["app"], long["journey"], long["step"], long["repeated"] * long["times"], long["bucket"]) for long in _FILE["long"]
]
ARMS = [
    GoldenArm(
        Split(vector["step"], arms=[Arm(name, weight, []) for name, weight in vector["arms"]]),
        vector["subject"],
        vector["bucket"],
        vector["arm"],
    )
    for vector in _FILE["arms"]
]
HELD_OUT = [GoldenHoldout(**vector) for vector in _FILE["held_out"]]
VARIANTS = [
    GoldenVariant(
        vector["campaign"],
        tuple(Arm(name, weight, []) for name, weight in vector["variants"]),
        vector["subject"],
        vector["bucket"],
        vector["variant"],
    )
    for vector in _FILE["variants"]
]
