"""The journey: a way in, steps, ways out and a goal. Written in Python it is checked as a whole; read from JSON it is not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, cast

from pydantic import AfterValidator
from pydantic import Field as Bound

from journeys.language import draw, listening
from journeys.language.check import problems
from journeys.language.conditions import AnyCondition, Condition, Or, Prop
from journeys.language.durations import Always, Duration, days, hours
from journeys.language.entries import SegmentEntry, WayIn
from journeys.language.errors import Invalid
from journeys.language.events import Events, Exits, Goal
from journeys.language.facts import EventFact
from journeys.language.messages import Cap, MessageClass, QuietHours, SendWindow
from journeys.language.nodes import KW_ONLY, Node, node
from journeys.language.steps import Step

WayOut: TypeAlias = Annotated[Events | Exits | AnyCondition, Bound(discriminator="kind")]


J = TypeVar("J")


def _checked_when_written(cls: type[J]) -> type[J]:
    """Check what is built by calling the class. Decoding makes instances without `__init__`, so stored JSON is never checked."""
    build = cls.__init__

    def __init__(self: J, *given: Any, **named: Any) -> None:  # noqa: N807 - it becomes the class's own
        build(self, *given, **named)
        found = problems(cast("Journey", self))
        if found:
            raise Invalid(found)

    cls.__init__ = wraps(build)(__init__)  # type: ignore[assignment, method-assign]
    return cls


@_checked_when_written
@node
class Journey(Node):
    """See the fields in docs/journeys.md. Raises Invalid with every problem when it is written in Python."""

    name: str
    _: KW_ONLY
    starts_on: WayIn
    steps: Annotated[Sequence[Step], AfterValidator(tuple)]
    key: Prop | None = None
    again_after: Annotated[Duration | Always, Bound(discriminator="kind")] | None = None
    exits_on: WayOut | None = None
    ends_after: Duration = days(540)
    goal: Goal | None = None
    holdout: int | float = 0
    late_after: Duration = hours(24)
    message_class: MessageClass = "marketing"
    topic: str | None = None
    quiet_hours: QuietHours | None = None
    send_window: SendWindow | None = None
    caps: Annotated[Sequence[Cap], AfterValidator(tuple)] | None = None
    kind: Literal["journey"] = "journey"

    @property
    def entry_events(self) -> Events | None:
        """The events of callers that start it; None when something else does."""
        return self.starts_on if isinstance(self.starts_on, Events) else None

    @property
    def exit_events(self) -> Events | None:
        """The events that end it at once."""
        found = [event for way in self._ways_out() if isinstance(way, Events) for event in way.any_of]
        return Events(found) if found else None

    @property
    def exit_condition(self) -> Condition | None:
        """The condition that ends it at the start of a step or at a claim: any of those in `exits_on`."""
        found = [way for way in self._ways_out() if not isinstance(way, Events)]
        return Or(found) if len(found) > 1 else next(iter(found), None)

    @property
    def starting_events(self) -> Events | None:
        """The events that start it, those of ours too: that somebody came into a segment. None when no event does."""
        if isinstance(self.starts_on, SegmentEntry):
            return listening.coming_into(self.starts_on.segment)
        return self.entry_events

    @property
    def entry_names(self) -> tuple[str, ...]:
        """Names of events that may start it, sorted."""
        return self.starting_events.names if self.starting_events else ()

    @property
    def listen_names(self) -> tuple[str, ...]:
        """Names of events that its steps, its ways out and its goal listen to, sorted."""
        return tuple(sorted(listening.signal_names(self) | set(self.goal.events.names if self.goal else ())))

    @property
    def signal_names(self) -> tuple[str, ...]:
        """Those of `listen_names` that a running enrollment must hear of: all but what only the goal counts."""
        return tuple(sorted(listening.signal_names(self)))

    @property
    def reads(self) -> Mapping[str, tuple[str, ...] | None]:
        """For each of `signal_names` the top-level properties that it reads, sorted; None means all."""
        return listening.reads(self)

    def reduced(self, event: EventFact) -> EventFact:
        """The event with only those properties that this journey reads of it: what travels to a running enrollment."""
        keys = listening.reads(self).get(event.name, ())
        if keys is None:
            return event
        return replace(event, properties={key: value for key, value in event.properties.items() if key in keys})

    def _ways_out(self) -> Sequence[Events | AnyCondition]:
        if isinstance(self.exits_on, Exits):
            return self.exits_on.any_of
        return () if self.exits_on is None else (self.exits_on,)

    def draw(self) -> str:
        """Mermaid text, with entry, exits, goal and re-entry in words above."""
        return draw.mermaid(self)
