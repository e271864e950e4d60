"""A campaign: one message, or variants of it, to everybody of a segment. A value: no clock, no I/O.

Written in Python it is checked as a whole; read from JSON it is not.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import wraps
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator
from pydantic import Field as Bound

from journeys.language.check_campaigns import USUAL_LASTS, campaign_problems
from journeys.language.durations import Duration
from journeys.language.entries import SegmentEntry
from journeys.language.errors import Invalid
from journeys.language.events import Events, Goal
from journeys.language.experiments import Experiment, Variant, WinnerRule
from journeys.language.listening import coming_into
from journeys.language.messages import Cap, Message, MessageClass, QuietHours, SendWindow
from journeys.language.nodes import KW_ONLY, Node, node
from journeys.language.timing import Once, Recurring, cron, daily, monthly, once, weekly

__all__ = [
    "ONLY",
    "REST",
    "Campaign",
    "Version",
    "When",
    "WinnerRule",
    "cron",
    "daily",
    "monthly",
    "once",
    "weekly",
]

ONLY = "message"
"""What the ledger calls the one message of a campaign without variants, where a journey has the id of a step."""
REST = "rest"
"""The same of those who wait for a winner."""

When: TypeAlias = Annotated[Once | Recurring | Events | SegmentEntry, Bound(discriminator="kind")]


@node
class Version(Node):
    """One of several versions of a campaign's message, to so many percent of those to whom variants are sent. The first is the control.

    It is sent `after` so long: after the run is planned, and where everybody's own clock counts, so much later on that clock.
    """

    name: str
    weight: int | float
    message: Message
    _: KW_ONLY
    after: Duration | None = None
    kind: Literal["version"] = "version"


def _checked_when_written(cls: type["Campaign"]) -> type["Campaign"]:
    build = cls.__init__

    def __init__(self: "Campaign", *given: Any, **named: Any) -> None:  # noqa: N807 - it becomes the class's own
        build(self, *given, **named)
        if found := campaign_problems(self):
            raise Invalid(found)

    cls.__init__ = wraps(build)(__init__)  # type: ignore[method-assign]
    return cls


@_checked_when_written
@node
class Campaign(Node):
    """See the fields in docs/how-to/campaigns.md. Raises Invalid with every problem when it is written in Python.

    `local_at` is set in the definition of a run: it writes to each person when their own clock shows that.
    """

    name: str
    segment: str
    message: Message | None = None
    _: KW_ONLY
    when: When | None = None
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
    lasts: Duration = USUAL_LASTS
    local_at: str | None = None
    kind: Literal["campaign"] = "campaign"

    @property
    def messages(self) -> Mapping[str, Message]:
        """What each version sends, by its name."""
        if self.versions:
            return {each.name: each.message for each in self.versions}
        assert self.message is not None
        return {ONLY: self.message}

    @property
    def delays(self) -> Mapping[str, timedelta]:
        """How long after the plan each version is sent, by its name."""
        later = {each.name: each.after.timedelta for each in self.versions if each.after is not None}
        return {name: later.get(name, timedelta()) for name in self.messages}

    @property
    def trigger(self) -> Events | None:
        """The events that send it, one message each, ours too: that somebody came into a segment. None: it is sent in runs."""
        if isinstance(self.when, SegmentEntry):
            return coming_into(self.when.segment)
        return self.when if isinstance(self.when, Events) else None

    @property
    def segments(self) -> Sequence[str]:
        """The segments that it names: to whom it goes, and the one that people come into when they get it."""
        entered = [self.when.segment] if isinstance(self.when, SegmentEntry) else []
        return tuple(dict.fromkeys([self.segment, *entered]))

    @property
    def experiment(self) -> Experiment | None:
        """What is compared; None without versions or without a goal."""
        if not self.versions or self.goal is None:
            return None
        variants = [Variant(each.name, each.weight) for each in self.versions]
        return Experiment(variants, self.goal, winner=self.winner, holdout=self.holdout)
