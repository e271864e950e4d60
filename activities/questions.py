"""What a workflow asks of Postgres: plain values, free of SQL, so that workflow code may import them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from journeys.language.conditions import Prop
from journeys.language.events import Events
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
    step: str = ""
    visit: int = 0


@dataclass(frozen=True)
class EventsWanted:
    """The earliest `most` events from `since` on that count: of these names, with the enrollment's key, as `.where` asks."""

    app: str
    enrollment_id: str
    events: Events
    since: datetime
    most: int
    key: Prop | None = None
    captured: Mapping[str, EventFact] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """The enrollment is over, for this reason."""

    app: str
    enrollment_id: str
    reason: str
