"""What a workflow asks of Postgres: plain values, free of SQL, so that workflow code may import them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from journeys.language.facts import EventFact
from journeys.language.steps import Condition, Moment


@dataclass(frozen=True)
class Decision:
    """Conditions at one visit of a step; the place of the first that holds is its verdict."""

    app: str
    enrollment_id: str
    step: str
    visit: int
    conditions: Sequence[Condition]
    captured: Mapping[str, EventFact] = field(default_factory=dict)


@dataclass(frozen=True)
class MomentWanted:
    """A moment to be computed in the person's zone, from their attributes, the entry and what was captured."""

    app: str
    enrollment_id: str
    moment: Moment
    captured: Mapping[str, EventFact] = field(default_factory=dict)


@dataclass(frozen=True)
class EventsWanted:
    """The earliest events of these names from `since` on."""

    app: str
    enrollment_id: str
    names: Sequence[str]
    since: datetime
    most: int = 20


@dataclass(frozen=True)
class Ending:
    """The enrollment is over, for this reason."""

    app: str
    enrollment_id: str
    reason: str
