"""The words with which authors write expressions and conditions."""

from datetime import date, datetime
from typing import Literal, cast

from journeys.language.conditions import (
    Captured,
    Channel,
    Condition,
    ConditionNode,
    Device,
    Did,
    Entry,
    Has,
    InSegment,
    LastDid,
    Location,
    MessageWas,
    Near,
    Not,
    Prop,
    Sample,
    Statement,
    Subscribed,
    Trait,
    When,
    when,
)
from journeys.language.durations import Duration
from journeys.language.events import Event, Events


def event(name: str) -> Events:
    return Events([Event(name)])


def trait(path: str) -> Trait:
    """An attribute of the user, by a dotted path into it."""
    return Trait(path)


def entry(path: str) -> Entry:
    """A property of the event that started the enrollment; `$event` is its name."""
    return Entry(path)


def captured(step: str, path: str) -> Captured:
    """A property of the event that a WaitFor caught or that last reset a Wait, or of a Call's result; `$event` is the event's name."""
    return Captured(step, path)


def prop(path: str) -> Prop:
    """A property of the event in question: only inside `.where`, `key`, `where=` and `total=`."""
    return Prop(path)


def device(path: str) -> Device:
    """Of the device that was last confirmed: os, model, app_version."""
    return Device(path)


def location(path: str) -> Location:
    """The user's attribute `location`: country, region, city, latitude, longitude."""
    return Location(path)


def last_did(event: str) -> LastDid:
    """When the user last did this."""
    return LastDid(event)


def did(
    event: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    last: Duration | None = None,
    since: Literal["entry"] | None = None,
    between: "tuple[When | datetime | date, When | datetime | date] | None" = None,
    where: ConditionNode | None = None,
    total: Prop | None = None,
    then: str | None = None,
    then_where: ConditionNode | None = None,
    within: Duration | None = None,
) -> Did:
    """How often the user did this, or with `total` the exact sum of a property; both bounds include their limit.

    With `then=` only what was followed by that event counts, later and at most `within=` later; `then_where=` is asked of that event.
    The window, `where=` and the bounds are of the first event; what followed may lie behind its window.
    """
    return Did(
        event,
        at_least=at_least,
        at_most=at_most,
        last=last,
        since=since,
        between=None if between is None else (when(between[0]), when(between[1])),
        where=cast("Condition | None", where),
        total=total,
        then=then,
        then_where=cast("Condition | None", then_where),
        within=within,
    )


def did_not(
    event: str,
    *,
    last: Duration | None = None,
    since: Literal["entry"] | None = None,
    between: "tuple[When | datetime | date, When | datetime | date] | None" = None,
    where: ConditionNode | None = None,
    then: str | None = None,
    then_where: ConditionNode | None = None,
    within: Duration | None = None,
) -> Not:
    return Not(did(event, last=last, since=since, between=between, where=where, then=then, then_where=then_where, within=within))


def has(channel: Channel) -> Has:
    """The user has an active endpoint of this channel."""
    return Has(channel)


def near(latitude: float, longitude: float, km: float) -> Near:
    return Near(latitude, longitude, km)


def in_segment(name: str) -> InSegment:
    return InSegment(name)


def subscribed(topic: str) -> Subscribed:
    return Subscribed(topic)


def sample(percent: float, *, salt: str | None = None) -> Sample:
    """Always the same so many percent of all people; another `salt` draws other people."""
    return Sample(percent, salt=salt)


def sql(statement: str) -> Statement:
    """In a segment only: whose user ids this statement gives."""
    return Statement(statement)


def sent(*, step: str | None = None, template: str | None = None) -> MessageWas:
    return MessageWas("sent", step=step, template=template)


def delivered(*, step: str | None = None, template: str | None = None) -> MessageWas:
    return MessageWas("delivered", step=step, template=template)


def opened(*, step: str | None = None, template: str | None = None) -> MessageWas:
    return MessageWas("opened", step=step, template=template)


def clicked(*, step: str | None = None, template: str | None = None) -> MessageWas:
    return MessageWas("clicked", step=step, template=template)
