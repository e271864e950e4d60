"""What an expression reads out of given facts, and when two JSON values are the same. null is as missing: None."""

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from journeys.language.conditions import Captured, Device, Entry, ExpressionNode, LastDid, Location, Prop, Scalar, Trait
from journeys.language.facts import EventFact, Facts

EVENT_NAME = "$event"
LOCATION = "location"


def value(operand: ExpressionNode | Scalar, facts: Facts, at: datetime, event: EventFact | None = None) -> Any:
    """Read an expression as of a moment; `event` is the one that `prop` asks. A literal is itself, what is missing is None."""
    match operand:
        case Trait(path):
            return _walk(facts.attributes, path)
        case Location(path):
            return _walk(facts.attributes, f"{LOCATION}.{path}")
        case Entry(path):
            return _of_event(facts.entry, path)
        case Captured(step, path):
            return _of_event(facts.captured.get(step), path)
        case Prop(path):
            return _of_event(event, path)
        case Device(path):
            return _walk(_last_device(facts), path)
        case LastDid(name):
            return max((each.occurred_at for each in facts.events if each.name == name and each.occurred_at <= at), default=None)
        case str() | int() | float():
            return operand
        case _:
            raise AssertionError(f"no reader for {type(operand).__name__}")


def number(given: Any) -> Decimal | None:
    """Take a JSON number exactly as it is written; booleans, texts and what is not finite are no numbers."""
    if isinstance(given, bool) or not isinstance(given, (int, float, Decimal)):
        return None
    if isinstance(given, float):
        return Decimal(repr(given)) if math.isfinite(given) else None
    exact = Decimal(given)
    return exact if exact.is_finite() else None


def same(left: Any, right: Any) -> bool:
    """Compare two JSON values or instants with their types: 1 is 1.0, but neither True nor "1"."""
    match left:
        case bool():
            return isinstance(right, bool) and left == right
        case str():
            return isinstance(right, str) and left == right
        case datetime():
            return isinstance(right, datetime) and left == right
        case Mapping():
            return isinstance(right, Mapping) and left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        case list() | tuple():
            return isinstance(right, (list, tuple)) and len(left) == len(right) and all(map(same, left, right))
        case None:
            return right is None
        case _:
            exact = number(left)
            return exact is not None and exact == number(right)


def _of_event(event: EventFact | None, path: str) -> Any:
    if event is None:
        return None
    return event.name if path == EVENT_NAME else _walk(event.properties, path)


def _last_device(facts: Facts) -> Mapping[str, Any]:
    """The device that was confirmed last; of equals the one that stands later."""
    found: Mapping[str, Any] = {}
    confirmed_at: datetime | None = None
    for endpoint in facts.endpoints:
        if endpoint.channel == "push" and (confirmed_at is None or endpoint.confirmed_at >= confirmed_at):
            found, confirmed_at = endpoint.device, endpoint.confirmed_at
    return found


def _walk(inside: Any, path: str) -> Any:
    """Follow a dotted path: keys of objects, and places of lists (`items.0.name`)."""
    for part in path.split("."):
        if isinstance(inside, Mapping):
            inside = inside.get(part)
        elif isinstance(inside, (list, tuple)) and is_place(part) and int(part) < len(inside):
            inside = inside[int(part)]
        else:
            return None
    return inside


def is_place(part: str) -> bool:
    """Whether a part of a path may be a place in a list: 0, 1, ..."""
    return part.isascii() and part.isdigit() and len(part) < 9
