"""What a run's workflow and its activities tell each other: small, frozen, JSON."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class RunOrder:
    """A run of a campaign, by its id."""

    app: str
    run_id: str


@dataclass(frozen=True)
class Standing:
    """How a run stands. `due_at`: when its next chunk is due; None: nothing is left, or nobody knows when."""

    state: str
    chunks: int
    due_at: datetime | None
    over_at: datetime | None
