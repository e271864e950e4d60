"""How a person's attributes change: per key the latest (occurred_at, event id) wins, a deletion too. Pure: no SQL, no clock.

Because each key is decided by that order alone, any order of arrival, and any order of joining people, gives one state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

TIMEZONE = "$timezone"
LOCALE = "$locale"
# Kept in columns of their own, but decided by the same clock as every attribute.
COLUMN_KEYS = frozenset({TIMEZONE, LOCALE})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Profile:
    """A person's attributes with, per key, [occurred_at in microseconds, event id] of its last change.

    A key of `clock` that `attributes` lacks was deleted then: the tombstone keeps an older value from coming back.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    clock: Mapping[str, list[Any]] = field(default_factory=dict)


def said(values: Mapping[str, Any], occurred_at: datetime, event_id: str) -> Profile:
    """What one event says by itself. A value of None deletes its key."""
    stamp = [(occurred_at - _EPOCH) // _MICROSECOND, event_id]
    return Profile({key: value for key, value in values.items() if value is not None}, dict.fromkeys(values, stamp))


def changed(profile: Profile, values: Mapping[str, Any], occurred_at: datetime, event_id: str) -> Profile:
    """Apply what one event says."""
    return joined(profile, said(values, occurred_at, event_id))


def joined(one: Profile, other: Profile) -> Profile:
    """The attributes of a person who was known as two: per key the later change of the two."""
    attributes, clock = dict(one.attributes), dict(one.clock)
    for key, stamp in other.clock.items():
        if key in clock and clock[key] >= stamp:
            continue
        clock[key] = stamp
        attributes.pop(key, None)
        if key in other.attributes:
            attributes[key] = other.attributes[key]
    return Profile(attributes, clock)


def without(profile: Profile, keys: frozenset[str]) -> Profile:
    """The profile as if these keys had never been set."""
    return Profile(
        {key: value for key, value in profile.attributes.items() if key not in keys},
        {key: stamp for key, stamp in profile.clock.items() if key not in keys},
    )
