"""What a journey listens to and reads: which event names, and which of their properties."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from journeys.language.conditions import Captured, Compare, InSegment, Prop
from journeys.language.events import Event, Events
from journeys.language.nodes import Node
from journeys.language.steps import AnyStep, Call, Repeat, Send, Wait, WaitFor
from journeys.language.walk import all_steps, nodes_in

if TYPE_CHECKING:
    from journeys.language.journey import Journey

ENTERED, LEFT = "segment_entered", "segment_left"
SEGMENT_EVENTS = (ENTERED, LEFT)


def coming_into(segment: str) -> Events:
    """The event that somebody came into this segment."""
    return Events([Event(ENTERED, where=Compare(Prop("segment"), "==", segment))])


def signal_names(journey: "Journey") -> set[str]:
    """What a running enrollment must hear of: its steps' events and its ways out. The goal only counts, so it is not among them."""
    names = {each.name for each in _events_in((*journey.steps, *_maybe(journey.exit_events)))}
    if any(isinstance(each, InSegment) for each in nodes_in(journey.exit_condition)):
        names.update(SEGMENT_EVENTS)
    return names


def reads(journey: "Journey") -> Mapping[str, tuple[str, ...] | None]:
    """For each name in `signal_names` the top-level properties that the journey reads of it, sorted; None means all of them.

    All are kept of an event that a step captures while a Send or a Call still follows: its template may show any of them.
    """
    kept: dict[str, set[str]] = {name: set() for name in signal_names(journey)}
    for each in _events_in((*journey.steps, *_maybe(journey.exit_events))):
        kept[each.name] |= {_top(prop.path) for prop in nodes_in((each.where, journey.key)) if isinstance(prop, Prop)}
    paths = [node for node in nodes_in(journey) if isinstance(node, Captured)]
    for step in all_steps(journey.steps):
        for name in _caught(step):
            kept[name] |= {_top(node.path) for node in paths if node.step == step.id} - {"$event"}
    shown = _shown(journey.steps)
    return {name: None if name in shown else tuple(sorted(keys)) for name, keys in sorted(kept.items())}


def _shown(steps: Sequence[AnyStep]) -> set[str]:
    """Names of events that are captured before some Send or Call."""
    order = list(all_steps(steps))
    last = max((place for place, step in enumerate(order) if isinstance(step, (Send, Call))), default=-1)
    shown = {name for step in order[:last] for name in _caught(step)}
    for step in order:
        if isinstance(step, Repeat) and any(isinstance(inner, (Send, Call)) for inner in all_steps(step.steps)):
            shown.update(name for inner in all_steps(step.steps) for name in _caught(inner))
    return shown


def _caught(step: AnyStep) -> Sequence[str]:
    match step:
        case WaitFor():
            return [name for events in (*_maybe(step.events), *(case.events for case in step.cases)) for name in events.names]
        case Wait():
            return [] if step.reset_by is None else step.reset_by.names
        case _:
            return []


def _events_in(values: Sequence[Node]) -> list[Event]:
    return [node for node in nodes_in(tuple(values)) if isinstance(node, Event)]


def _maybe(events: Events | None) -> Sequence[Events]:
    return () if events is None else (events,)


def _top(path: str) -> str:
    return path.split(".", 1)[0]
