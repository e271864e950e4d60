"""What the workflow is started with. Fields may be added with a default, never renamed or removed: they lie in running histories."""

from dataclasses import field
from datetime import datetime

from pydantic.dataclasses import dataclass

from activities.move_orders import MoveOrder
from journeys.language.codec import Definition
from journeys.language.facts import EventFact
from journeys.language.world import Progress

JOURNEY = "journey"
# A run of more history events than this is continued as a new one: replaying it would take long.
LONG_HISTORY = 1000


@dataclass(frozen=True)
class EnrollmentInput:
    """One enrollment. The definition travels by value: publishing a new version changes nothing for people inside.

    `events` are those since entry that came before the workflow, or that another version listens to. `progress` is set after
    continue-as-new; `moves` are those that were asked for and not carried out by then.
    """

    app: str
    enrollment_id: str
    journey: Definition
    version: int
    subject: str
    entry: EventFact
    started_at: datetime
    events: list[EventFact] = field(default_factory=list)
    progress: Progress | None = None
    wait_scale: float = 1.0
    schema_version: int = 1
    moves: list[MoveOrder] = field(default_factory=list)


@dataclass(frozen=True)
class Standing:
    """Where an enrollment stands: the answer to the query `standing`."""

    step: str | None
    visit: int = 0
    since: datetime | None = None
    until: datetime | None = None
    words: str = ""
