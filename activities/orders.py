"""What a workflow asks of a Send and what it hears back: plain values, free of SQL and HTTP, so that workflow code may import them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from journeys.language.facts import EventFact


@dataclass(frozen=True)
class SendOrder:
    """One Send of one enrollment. Fields may be added with a default, never renamed or removed: orders lie in running workflows.

    `exits_on`, `quiet_hours`, `caps`, `key` and `to` are the journey's own values, defaults of journey and step already applied;
    quiet hours and caps that stay unset take the app's. `visit` counts the passes of a Repeat, from 0.
    """

    app: str
    enrollment_id: str
    journey: str
    step: str
    visit: int
    channel: str
    template: str
    message_class: Literal["marketing", "transactional"]
    topic: str | None = None
    entry: EventFact | None = None
    captured: Mapping[str, EventFact] = field(default_factory=dict)
    exits_on: Any = None
    key: Any = None
    quiet_hours: Any = None
    caps: tuple[Any, ...] = ()
    provider: str | None = None
    to: Any = None
    closes: str | None = None
    """The last step only: the transaction that settles it also closes the enrollment with this reason."""
    may_wait: bool = False
    """False: the local try of at most 2 seconds. True: the ordinary activity, with the adapter's whole timeout."""


@dataclass(frozen=True)
class SendVerdict:
    """What a try came to. `settled` and `exited` are final and stored; the others say not to come back before `until`."""

    status: Literal["settled", "deferred", "held", "again", "exited"]
    sent: bool = False
    """Some row is sent, or unknown: `otherwise` does not run."""
    reasons: tuple[str, ...] = ()
    """Why rows were skipped or rejected (for `again`: what is in the way), sorted."""
    until: datetime | None = None
    claimed_at: datetime | None = None
    """The earliest claim of this step by the database's clock."""
