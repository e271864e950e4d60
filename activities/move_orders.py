"""What is asked and answered when somebody is moved to another version: plain values, so that workflow code may import them."""

from collections.abc import Mapping
from dataclasses import field

from pydantic.dataclasses import dataclass

from journeys.language.codec import Definition
from journeys.language.facts import EventFact

MOVE, MOVABLE = "move", "movable"
"""The signal, and the query that asks whether it would succeed."""


@dataclass(frozen=True)
class MoveOrder:
    """One person is to be moved. Fields may be added with a default, never renamed or removed: orders lie in running workflows.

    `steps` maps steps of the old version to steps of the new; `only_at` leaves everybody alone who stands elsewhere. The same `request`
    again is the same order.
    """

    request: str
    journey: Definition
    version: int
    steps: Mapping[str, str] = field(default_factory=dict)
    only_at: str | None = None
    done_by: str = ""
    job_id: str | None = None


@dataclass(frozen=True)
class Movable:
    """Where somebody stands, where a move would put them down, and why it cannot (None: it can)."""

    version: int
    step: str | None
    to: str | None
    reason: str | None


@dataclass(frozen=True)
class MoveWanted:
    """What the workflow asks of Postgres once it knows: to write the move down, and for the events that the other version listens to."""

    app: str
    enrollment_id: str
    order: MoveOrder
    from_version: int
    step: str
    to: str
    reason: str | None


@dataclass(frozen=True)
class MoveGranted:
    """What Postgres says. `ended`: the enrollment was over, for this reason, and nobody was moved."""

    events: list[EventFact] = field(default_factory=list)
    ended: str | None = None
