"""What a workflow asks of a Send and what it hears back: plain values, free of SQL and HTTP, so that workflow code may import them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field as Bound

from journeys.language.conditions import AnyCondition, Expression, Prop
from journeys.language.events import Events, Exits
from journeys.language.facts import EventFact
from journeys.language.messages import Cap, MessageClass, QuietHours, SendWindow
from journeys.language.verdict import SendVerdict

__all__ = ["SendOrder", "SendVerdict"]

WaysOut = Annotated[Events | Exits | AnyCondition, Bound(discriminator="kind")]


@dataclass(frozen=True)
class SendOrder:
    """One Send of one enrollment. Fields may be added with a default, never renamed or removed: orders lie in running workflows.

    `exits_on`, `quiet_hours`, `send_window`, `caps`, `key` and `to` are the journey's own values, defaults of journey and step already
    applied; hours that stay unset take the app's, and the app's caps hold beside these. `visit` counts the times that the step was
    reached, from 1.
    """

    app: str
    enrollment_id: str
    journey: str
    step: str
    visit: int
    channel: str
    template: str
    message_class: MessageClass
    topic: str | None = None
    entry: EventFact | None = None
    captured: Mapping[str, EventFact] = field(default_factory=dict)
    exits_on: WaysOut | None = None
    key: Prop | None = None
    quiet_hours: QuietHours | None = None
    caps: tuple[Cap, ...] | None = None
    provider: str | None = None
    to: Expression | str | None = None
    closes: str | None = None
    """The last step only: the transaction that settles it also closes the enrollment with this reason."""
    may_wait: bool = False
    """False: the local try of at most 2 seconds. True: the ordinary activity, with the adapter's whole timeout."""
    send_window: SendWindow | None = None
