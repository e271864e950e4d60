"""What a workflow asks of an Update, a Call and an Enter: plain values, free of SQL and HTTP, so that workflow code may import them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field as Bound

from activities.orders import WaysOut
from journeys.language.conditions import Prop
from journeys.language.facts import EventFact
from journeys.language.payloads import Object
from journeys.language.steps import Function, Request

Action = Annotated[Request | Function, Bound(discriminator="kind")]


@dataclass(frozen=True)
class UpdateOrder:
    """One Update of one enrollment. Fields of all these may be added with a default, never renamed or removed: they lie in histories."""

    app: str
    enrollment_id: str
    step: str
    visit: int
    attributes: Object
    captured: Mapping[str, EventFact] = field(default_factory=dict)


@dataclass(frozen=True)
class EnterOrder:
    """One Enter of one enrollment, into another journey."""

    app: str
    enrollment_id: str
    step: str
    visit: int
    journey: str
    properties: Object
    captured: Mapping[str, EventFact] = field(default_factory=dict)


@dataclass(frozen=True)
class CallOrder:
    """One Call of one enrollment. `journey`, `exits_on` and `key` are those of the journey that it is in."""

    app: str
    enrollment_id: str
    journey: str
    step: str
    visit: int
    action: Action
    entry: EventFact | None = None
    captured: Mapping[str, EventFact] = field(default_factory=dict)
    exits_on: WaysOut | None = None
    key: Prop | None = None

    @property
    def idempotency_key(self) -> str:
        """The same for every try of this visit, and for nothing else."""
        return f"sj_{self.enrollment_id}_{self.step}_{self.visit}"
