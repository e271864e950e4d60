"""What conditions mean, over given facts: the pure reader. storage/conditions.py is the other one; the two must agree.

Two-valued: missing data makes a comparison false. Everything is read as of a moment; events and messages after it do not count.
Attributes, endpoints, subscriptions and segments have no past: they are as they are.
"""

import operator
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import asin, cos, radians, sin, sqrt
from typing import Any, assert_never

from journeys.language.assign import in_sample
from journeys.language.conditions import (
    After,
    And,
    AnyCondition,
    Before,
    Compare,
    Contains,
    Did,
    Exists,
    Has,
    InSegment,
    IsIn,
    MessageWas,
    Near,
    Not,
    Operator,
    Or,
    Prop,
    Sample,
    StartsWith,
    Statement,
    Subscribed,
)
from journeys.language.errors import OutsideSegment
from journeys.language.events import Event, Events
from journeys.language.facts import EventFact, Facts, MessageFact
from journeys.language.moments import instant_as_of
from journeys.language.reading import LOCATION, number, same, value
from journeys.language.zones import instant_of, shifted, zone_of

__all__ = ["holds", "matches", "value"]

EARTH_KM = 6371.0
EVERY = "*"
_EVER = datetime.min.replace(tzinfo=UTC)
_NOTHING = Facts()
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def holds(condition: AnyCondition, facts: Facts, at: datetime, event: EventFact | None = None) -> bool:
    """Say whether a condition holds as of a moment (aware). `event` is what `prop` reads.

    Raises OutsideSegment for `sql(...)`, and nothing else, whatever the facts are.
    """
    match condition:
        case Compare(left, op, right):
            return _compare(value(left, facts, at, event), op, value(right, facts, at, event))
        case IsIn(left, values):
            found = value(left, facts, at, event)
            return any(same(found, each) for each in values)
        case Contains(left, right):
            return _contains(value(left, facts, at, event), value(right, facts, at, event))
        case StartsWith(left, right):
            text, start = value(left, facts, at, event), value(right, facts, at, event)
            return isinstance(text, str) and isinstance(start, str) and text.startswith(start)
        case Exists(of):
            return value(of, facts, at, event) is not None
        case Before(left, right) | After(left, right):
            read = instant_of(value(left, facts, at, event), zone_of(facts.timezone))
            limit = instant_as_of(right, facts, at, event)
            return read is not None and limit is not None and (read < limit if isinstance(condition, Before) else read > limit)
        case Near():
            return _is_near(condition, facts)
        case Has(channel):
            return any(endpoint.channel == channel for endpoint in facts.endpoints)
        case Did():
            return _did(condition, facts, at, event)
        case MessageWas():
            return any(_message_was(condition, message, facts, at) for message in facts.messages)
        case InSegment(segment):
            return segment in facts.segments
        case Subscribed(topic):
            return not {topic, EVERY} & facts.unsubscribed_topics
        case Sample():
            return facts.subject is not None and in_sample(condition, facts.app, facts.subject)
        case Statement():
            raise OutsideSegment
        case And(parts):
            return all(holds(part, facts, at, event) for part in parts)
        case Or(parts):
            return any(holds(part, facts, at, event) for part in parts)
        case Not(part):
            return not holds(part, facts, at, event)
        case _:
            assert_never(condition)


def matches(events: Events, event: EventFact, facts: Facts | None = None) -> bool:
    """Say whether an event is one of these: its name, and its `.where` with the entry and what was captured from `facts`."""
    return any(_is_such(each, event, facts or Facts()) for each in events.any_of)


def _is_such(wanted: Event, event: EventFact, facts: Facts) -> bool:
    return wanted.name == event.name and (wanted.where is None or holds(wanted.where, facts, event.occurred_at, event))


def _compare(left: Any, op: Operator, right: Any) -> bool:
    if left is None or right is None:
        return False
    if op in ("==", "!="):
        return same(left, right) == (op == "==")
    pair = _ordered(left, right)
    if pair is None:
        return False
    return bool(_ORDER[op](*pair))


def _ordered(left: Any, right: Any) -> tuple[Any, Any] | None:
    """Two texts (by code point), two numbers or two instants; nothing else has an order."""
    for kind in (str, datetime):
        if isinstance(left, kind) and isinstance(right, kind):
            return left, right
    low, high = number(left), number(right)
    return None if low is None or high is None else (low, high)


def _contains(whole: Any, part: Any) -> bool:
    if part is None:
        return False
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    return isinstance(whole, (list, tuple)) and any(same(each, part) for each in whole)


def _is_near(condition: Near, facts: Facts) -> bool:
    place = facts.attributes.get(LOCATION)
    if not isinstance(place, Mapping):
        return False
    latitude, longitude = _degrees(place.get("latitude"), 90), _degrees(place.get("longitude"), 180)
    if latitude is None or longitude is None:
        return False
    there = (rounded_degrees(Decimal(str(each))) for each in (condition.latitude, condition.longitude))
    return _distance_km(latitude, longitude, *there) <= condition.km


def _degrees(given: Any, most: int) -> float | None:
    exact = number(given)
    return rounded_degrees(exact) if exact is not None and -most <= exact <= most else None


def rounded_degrees(exact: Decimal) -> float:
    """A tenth of a millimetre is near enough, and nothing can underflow on the way."""
    return float(exact.quantize(Decimal("1e-9"), rounding=ROUND_HALF_UP))


def _distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Great circle by the haversine formula, written as in SQL so that both give the same digits."""
    across = sin(radians(other_latitude - latitude) / 2)
    along = sin(radians(other_longitude - longitude) / 2)
    part = across * across + cos(radians(latitude)) * cos(radians(other_latitude)) * along * along
    return 2 * EARTH_KM * asin(sqrt(min(1.0, part)))


def _did(condition: Did, facts: Facts, at: datetime, event: EventFact | None) -> bool:
    window = _window(condition, facts, at, event)
    if window is None:
        return False
    first, end = window
    found = [
        each
        for each in facts.events
        if each.name == condition.event
        and first <= each.occurred_at <= at
        and (end is None or each.occurred_at < end)
        and (condition.where is None or holds(condition.where, facts, at, each))
        and (condition.then is None or _is_followed(each, condition, facts, at))
    ]
    if condition.at_least is None and condition.at_most is None:
        return bool(found)
    measure = Fraction(len(found)) if condition.total is None else _total(condition.total, found, at)
    return _is_within(measure, condition.at_least, condition.at_most)


def _is_followed(first: EventFact, condition: Did, facts: Facts, at: datetime) -> bool:
    end = at if condition.within is None else min(at, shifted(first.occurred_at, condition.within.timedelta))
    return any(
        each.name == condition.then
        and first.occurred_at < each.occurred_at <= end
        and (condition.then_where is None or holds(condition.then_where, facts, at, each))
        for each in facts.events
    )


def _window(condition: Did, facts: Facts, at: datetime, event: EventFact | None) -> tuple[datetime, datetime | None] | None:
    """From when, and before when, an event counts; None when a limit is missing, so that nothing can be said."""
    starts: list[datetime | None] = []
    end: datetime | None = None
    if condition.last is not None:
        starts.append(shifted(at, -condition.last.timedelta))
    if condition.since is not None:
        starts.append(facts.entered_at)
    if condition.between is not None:
        starts.append(instant_as_of(condition.between[0], facts, at, event))
        end = instant_as_of(condition.between[1], facts, at, event)
        if end is None:
            return None
    known = [start for start in starts if start is not None]
    return None if len(known) < len(starts) else (max(known, default=_EVER), end)


def _total(path: Prop, events: Sequence[EventFact], at: datetime) -> Fraction:
    read = (number(value(path, _NOTHING, at, each)) for each in events)
    return sum((Fraction(exact) for exact in read if exact is not None), Fraction(0))


def _is_within(measure: Fraction, at_least: float | None, at_most: float | None) -> bool:
    return (at_least is None or measure >= Fraction(str(at_least))) and (at_most is None or measure <= Fraction(str(at_most)))


def _message_was(condition: MessageWas, message: MessageFact, facts: Facts, at: datetime) -> bool:
    when: datetime | None = getattr(message, f"{condition.state}_at")
    return (
        when is not None
        and when <= at
        and (condition.step is None or (message.source == facts.source and message.step == condition.step))
        and (condition.template is None or message.template == condition.template)
    )
