"""A campaign: one message, or variants of it, to everybody of a segment. A value: no clock, no I/O."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator

from journeys.language.durations import Duration, hours
from journeys.language.events import Goal
from journeys.language.experiments import WinnerRule
from journeys.language.messages import Cap, Message, MessageClass, QuietHours, SendWindow
from journeys.language.nodes import KW_ONLY, Node, node

ONLY = "message"
"""What the ledger calls the one message of a campaign without variants, where a journey has the id of a step."""
REST = "rest"
"""The same of those who wait for a winner."""


@node
class Version(Node):
    """One of several versions of a campaign's message, to so many percent of those to whom variants are sent. The first is the control."""

    name: str
    weight: int | float
    message: Message
    _: KW_ONLY
    kind: Literal["version"] = "version"


@node
class Campaign(Node):
    """See the fields in docs/how-to/campaigns.md."""

    name: str
    segment: str
    message: Message | None = None
    _: KW_ONLY
    versions: Annotated[Sequence[Version], AfterValidator(tuple)] = ()
    goal: Goal | None = None
    winner: WinnerRule | None = None
    holdout: int | float = 0
    message_class: MessageClass = "marketing"
    topic: str | None = None
    quiet_hours: QuietHours | None = None
    send_window: SendWindow | None = None
    caps: Annotated[Sequence[Cap], AfterValidator(tuple)] | None = None
    most_people: int | None = None
    per_second: int | float | None = None
    lasts: Duration = hours(72)
    local_at: str | None = None
    kind: Literal["campaign"] = "campaign"

    @property
    def messages(self) -> Mapping[str, Message]:
        """What each version sends, by its name."""
        if self.versions:
            return {each.name: each.message for each in self.versions}
        assert self.message is not None
        return {ONLY: self.message}
