"""What is known of a person and their enrollment when a condition is read: plain values, from Postgres or from a rehearsal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from journeys.language.best_hours import BestHours


@dataclass(frozen=True)
class EventFact:
    """One event of a person. `properties` may be reduced to what a journey reads; `arrival` orders equal times. Times are aware UTC."""

    id: str
    name: str
    occurred_at: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)
    arrival: int = 0
    received_at: datetime | None = None


@dataclass(frozen=True)
class EndpointFact:
    """One active address of a person. `device` has os, model, app_version where known."""

    channel: str
    confirmed_at: datetime
    device: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MessageFact:
    """What became of one message of this enrollment or, with another `source`, of an earlier one."""

    source: str
    step: str
    template: str | None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    opened_at: datetime | None = None
    clicked_at: datetime | None = None


@dataclass(frozen=True)
class Facts:
    """Everything a condition can ask for. `events` need no order; `captured` maps step id to the event it caught.

    `subject` is the id that the caller knows the person by, which arms and samples hash; without it nobody is in a sample.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    timezone: str | None = None
    endpoints: tuple[EndpointFact, ...] = ()
    events: tuple[EventFact, ...] = ()
    messages: tuple[MessageFact, ...] = ()
    segments: frozenset[str] = frozenset()
    unsubscribed_topics: frozenset[str] = frozenset()
    entry: EventFact | None = None
    entered_at: datetime | None = None
    captured: Mapping[str, EventFact] = field(default_factory=dict)
    source: str = ""
    best_hours: BestHours | None = None
    app: str = ""
    subject: str | None = None
