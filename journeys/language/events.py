"""Which events are meant: names with an optional condition on the event itself, joined by `|`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal, TypeAlias, cast, overload

from pydantic import AfterValidator
from pydantic import Field as Bound

from journeys.language.conditions import AnyCondition, Condition, ConditionNode
from journeys.language.durations import Duration
from journeys.language.nodes import KW_ONLY, Node, node


@node
class Event(Node):
    """One kind of event. In a journey with a key only events of the same key count, unless `any_key`."""

    name: str
    _: KW_ONLY
    where: Condition | None = None
    any_key: bool | None = None
    kind: Literal["event"] = "event"


@node
class Events(Node):
    """Any of several kinds of event."""

    any_of: Annotated[Sequence[Event], AfterValidator(tuple)]
    _: KW_ONLY
    kind: Literal["events"] = "events"

    @property
    def names(self) -> tuple[str, ...]:
        """Every name once, sorted."""
        return tuple(sorted({each.name for each in self.any_of}))

    def where(self, condition: ConditionNode) -> "Events":
        """Count only events of which this holds; `prop(...)` is a property of the event in question."""
        return Events([replace(each, where=_both(each.where, condition)) for each in self.any_of])

    def any_key(self) -> "Events":
        """Count events of every key, not only of the enrollment's own."""
        return Events([replace(each, any_key=True) for each in self.any_of])

    def within(self, duration: Duration) -> "Goal":
        """As a journey's goal: counted for so long after entry."""
        return Goal(self, duration)

    @overload
    def __or__(self, other: "Events") -> "Events": ...
    @overload
    def __or__(self, other: "ConditionNode | Exits") -> "Exits": ...
    def __or__(self, other: "Events | ConditionNode | Exits") -> "Events | Exits":
        if isinstance(other, Events):
            return Events((*self.any_of, *other.any_of))
        return Exits((self, *_ways_out(other)))

    def __ror__(self, other: ConditionNode) -> "Exits":
        return Exits((*_ways_out(other), self))


@node
class Goal(Node):
    """What counts as a conversion."""

    events: Events
    within: Duration
    _: KW_ONLY
    kind: Literal["goal"] = "goal"


WayOut: TypeAlias = Annotated[Events | AnyCondition, Bound(discriminator="kind")]


@node
class Exits(Node):
    """Events and conditions that end an enrollment, in any mixture."""

    any_of: Annotated[Sequence[WayOut], AfterValidator(tuple)]
    _: KW_ONLY
    kind: Literal["exits"] = "exits"

    def __or__(self, other: "Events | ConditionNode | Exits") -> "Exits":
        return Exits((*self.any_of, *_ways_out(other)))

    def __ror__(self, other: ConditionNode) -> "Exits":
        return Exits((*_ways_out(other), *self.any_of))


def _ways_out(given: Events | ConditionNode | Exits) -> Sequence[WayOut]:
    return given.any_of if isinstance(given, Exits) else (cast("WayOut", given),)


def _both(first: Condition | None, second: ConditionNode) -> Condition:
    return cast("Condition", second if first is None else first & second)
