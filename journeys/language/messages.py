"""What is sent, and the limits that an author may set for sending: content and provider, quiet hours, send windows, caps."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator
from pydantic import Field as Bound

from journeys.language.conditions import Channel
from journeys.language.durations import ClockTime, Duration, Weekday
from journeys.language.nodes import KW_ONLY, Node, node

MessageClass = Literal["marketing", "transactional"]


@node
class Message(Node):
    """Content by the name of its template; the channel's default provider unless one is named."""

    channel: Channel
    template: str
    _: KW_ONLY
    provider: str | None = None
    kind: Literal["message"] = "message"


def email(template: str, *, provider: str | None = None) -> Message:
    return Message("email", template, provider=provider)


def sms(template: str, *, provider: str | None = None) -> Message:
    return Message("sms", template, provider=provider)


def push(template: str, *, provider: str | None = None) -> Message:
    return Message("push", template, provider=provider)


def voice(template: str, *, provider: str | None = None) -> Message:
    return Message("voice", template, provider=provider)


def in_app(template: str, *, provider: str | None = None) -> Message:
    return Message("in_app", template, provider=provider)


def whatsapp(template: str, *, provider: str | None = None) -> Message:
    return Message("whatsapp", template, provider=provider)


def webhook(template: str, *, provider: str | None = None) -> Message:
    return Message("webhook", template, provider=provider)


def custom(template: str) -> Message:
    """What the house's own Python delivers: custom.toml of the template names the registered function, and what it is given."""
    return Message("custom", template)


@node
class QuietHours(Node):
    """From one time to another on the person's wall, over midnight when start is later than end; equal times mean none.

    What is due then waits for the end, or is skipped.
    """

    start: ClockTime
    end: ClockTime
    _: KW_ONLY
    then: Literal["wait", "skip"] = "wait"
    kind: Literal["quiet_hours"] = "quiet_hours"


@node
class SendWindow(Node):
    """Only from one time to another on the person's wall, on these weekdays or on every one; equal times mean the whole day.

    Over midnight, when start is later than end, it belongs to the day on which it begins. What is due outside waits for the next
    opening, or is skipped.
    """

    start: ClockTime
    end: ClockTime
    _: KW_ONLY
    days: Annotated[Sequence[Weekday], AfterValidator(tuple)] | None = None
    then: Literal["wait", "skip"] = "wait"
    kind: Literal["send_window"] = "send_window"


CalendarPeriod = Literal["day", "week", "month"]
"""Of the person's calendar; a week begins on Monday."""


def _is_marketing(counts: str) -> bool:
    return counts == "marketing"


@node
class Cap(Node):
    """At most so many messages per rolling duration, or per calendar day, week or month of the person.

    Of one channel and one topic, or of all. `counts="everything"` counts transactional messages too, which no cap holds back.
    """

    at_most: Annotated[int, Bound(ge=0)]
    _: KW_ONLY
    per: Duration | CalendarPeriod
    channel: Channel | None = None
    topic: str | None = None
    counts: Annotated[Literal["marketing", "everything"], Bound(exclude_if=_is_marketing)] = "marketing"
    kind: Literal["cap"] = "cap"
