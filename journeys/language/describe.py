"""Conditions, events, moments and steps in plain words: for drawings, plans and timers."""

from typing import Any, assert_never

from journeys.language.conditions import (
    After,
    And,
    AnyCondition,
    Before,
    Captured,
    Compare,
    Contains,
    Device,
    Did,
    Entry,
    Exists,
    Has,
    InSegment,
    IsIn,
    LastDid,
    Location,
    MessageWas,
    Near,
    Not,
    Or,
    Prop,
    Sample,
    Shifted,
    StartsWith,
    Statement,
    Subscribed,
    Timed,
    Trait,
)
from journeys.language.durations import Ago, Ahead, At, BestTime, Cron, Day, Duration, Instant, Interval, On, Once
from journeys.language.entries import ScheduleEntry
from journeys.language.events import Event, Events, Exits
from journeys.language.messages import Cap, SendWindow
from journeys.language.payloads import pairs
from journeys.language.steps import AnyStep, Call, Enter, Exit, If, Repeat, Request, Send, Split, Switch, Update, Wait, WaitFor

_UNITS = ((604800, "week"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_COMPARED = {"==": "is", "!=": "is not", "<": "is below", "<=": "is at most", ">": "is above", ">=": "is at least"}


def duration_words(duration: Duration) -> str:
    """`1 day`, `90 minutes`: the largest unit of which it is a whole number, weeks only from two on."""
    size = abs(duration.seconds)
    for seconds, unit in _UNITS:
        count = size // seconds
        if size % seconds == 0 and count and not (unit == "week" and count < 2):
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "no time"


def moment_words(moment: Any) -> str:
    """A moment or an expression, as one says it."""
    match moment:
        case At(clock):
            return f"the next {clock}"
        case On(weekday, clock):
            return f"the next {weekday.capitalize()} {clock}"
        case BestTime(within):
            return f"the best time within {duration_words(within)}"
        case Instant(at):
            return f"{at:%Y-%m-%d %H:%M} UTC"
        case Day(on):
            return on.isoformat()
        case Ago(duration):
            return f"{duration_words(duration)} ago"
        case Ahead(duration):
            return f"{duration_words(duration)} ahead"
        case Shifted(of, by):
            return f"{duration_words(by)} {'before' if by.seconds < 0 else 'after'} {moment_words(of)}"
        case Timed(Shifted() as of, clock):
            return f"{clock}, {moment_words(of)}"
        case Timed(of, clock):
            return f"{clock} on {moment_words(of)}"
        case _:
            return value_words(moment)


def schedule_words(entry: ScheduleEntry) -> str:
    """`Mondays at 09:00 in the zone of each, for segment vip`."""
    match entry.when:
        case At(clock):
            when = f"every day at {clock}"
        case On(weekday, clock):
            when = f"{weekday.capitalize()}s at {clock}"
        case Cron(expression):
            when = f"cron {expression}"
        case Once(at):
            when = f"{at:%Y-%m-%d %H:%M}"
        case Interval(every):
            when = f"every {duration_words(every)}"
        case _:
            assert_never(entry.when)
    where = "" if isinstance(entry.when, Interval) else f" in {entry.zone or 'the zone of each'}"
    rate = f", {entry.per_second} people a second" if entry.per_second else ""
    overlap = ", each waits for the one before" if entry.overlap == "wait" else ""
    return f"{when}{where}, for segment {entry.segment}{rate}{overlap}"


def cap_words(cap: Cap) -> str:
    """`3 per 7 days by email`."""
    per = cap.per if isinstance(cap.per, str) else duration_words(cap.per)
    by = f" by {cap.channel}" if cap.channel else ""
    topic = f" on {cap.topic}" if cap.topic else ""
    return f"{cap.at_most} per {per}{by}{topic}{', transactional ones counted' if cap.counts == 'everything' else ''}"


def window_words(window: SendWindow) -> str:
    """`09:00 to 18:00 on Monday and Tuesday`."""
    hours = "the whole day" if window.start == window.end else f"{window.start} to {window.end}"
    days = [day.capitalize() for day in window.days or ()]
    return f"{hours} on {' and '.join(filter(None, (', '.join(days[:-1]), days[-1])))}" if days else hours


def value_words(value: Any) -> str:
    """An expression or a literal, as one says it."""
    match value:
        case Trait(path):
            return f"the user's {path}"
        case Entry("$event"):
            return "the entry event"
        case Entry(path):
            return f"the entry's {path}"
        case Captured(step, "$event"):
            return f"the event of {step}"
        case Captured(step, path):
            return f"{path} of {step}"
        case Prop(path):
            return path
        case Device(path):
            return f"the device's {path}"
        case Location(path):
            return f"the location's {path}"
        case LastDid(event):
            return f"the last {event}"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def events_words(events: Events) -> str:
    return " or ".join(_event(each) for each in events.any_of)


def _event(event: Event) -> str:
    where = f" ({condition_words(event.where)})" if event.where is not None else ""
    return f"{event.name}{where}{' of any key' if event.any_key else ''}"


def ways_out_words(exits: Events | Exits | AnyCondition) -> str:
    match exits:
        case Events():
            return events_words(exits)
        case Exits(ways):
            return ", or ".join(ways_out_words(way) for way in ways)
        case _:
            return f"as soon as {condition_words(exits)}"


def condition_words(condition: AnyCondition) -> str:
    """A condition as one says it, with brackets where `and` and `or` meet."""
    match condition:
        case Compare(left, op, right):
            return f"{value_words(left)} {_COMPARED[op]} {value_words(right)}"
        case IsIn(left, values):
            return f"{value_words(left)} is one of {', '.join(map(value_words, values))}"
        case Contains(left, right):
            return f"{value_words(left)} contains {value_words(right)}"
        case StartsWith(left, right):
            return f"{value_words(left)} starts with {value_words(right)}"
        case Exists(Captured(step, "$event")):
            return f"{step} caught an event"
        case Exists(of):
            return f"{value_words(of)} exists"
        case Before(left, right):
            return f"{value_words(left)} is before {moment_words(right)}"
        case After(left, right):
            return f"{value_words(left)} is after {moment_words(right)}"
        case Near():
            return f"within {condition.km:g} km of {condition.latitude:g}, {condition.longitude:g}"
        case Has(channel):
            return f"has {channel}"
        case Did():
            return _did(condition)
        case MessageWas():
            return f"{condition.state} {condition.step or condition.template}"
        case InSegment(segment):
            return f"in segment {segment}"
        case Subscribed(topic):
            return f"subscribed to {topic}"
        case Sample(percent):
            return f"in a sample of {percent:g} %{f' ({condition.salt})' if condition.salt else ''}"
        case Statement(sql):
            return f"a user id of the SQL {' '.join(sql.split())}"
        case And(parts):
            return " and ".join(_bracketed(part) for part in parts)
        case Or(parts):
            return " or ".join(_bracketed(part) for part in parts)
        case Not(Did(at_least=None, at_most=None) as did):
            return _did(did).replace("did ", "did not do ", 1)
        case Not(Exists(Captured(step, "$event"))):
            return f"{step} caught nothing"
        case Not(part):
            return f"not ({condition_words(part)})"
        case _:
            assert_never(condition)


def _bracketed(part: AnyCondition) -> str:
    words = condition_words(part)
    return f"({words})" if isinstance(part, (And, Or)) else words


def _did(did: Did) -> str:
    bounds = [f"at least {did.at_least}"] if did.at_least is not None else []
    bounds += [f"at most {did.at_most}"] if did.at_most is not None else []
    count = f" {' and '.join(bounds)}{' times' if did.total is None else f' in {did.total.path}'}" if bounds else ""
    where = f" ({condition_words(did.where)})" if did.where is not None else ""
    then_where = f" ({condition_words(did.then_where)})" if did.then_where is not None else ""
    within = f" within {duration_words(did.within)}" if did.within else ""
    then = f", then {did.then}{then_where}{within}" if did.then is not None else ""
    window = f" in the last {duration_words(did.last)}" if did.last else ""
    window += f" since {did.since}" if did.since else ""
    window += f" between {moment_words(did.between[0])} and {moment_words(did.between[1])}" if did.between else ""
    return f"did {did.event}{where}{count}{window}{then}"


def step_words(step: AnyStep) -> str:
    """What a step does, in a few words, without its id."""
    match step:
        case Send(_, message):
            return f"{message.channel.replace('_', '-')}: {message.template}"
        case Wait():
            limit = duration_words(step.duration) if step.duration else f"until {moment_words(step.until)}"
            return f"wait {limit}{f', again on {events_words(step.reset_by)}' if step.reset_by else ''}"
        case WaitFor():
            limit = duration_words(step.within) if step.within else moment_words(step.until)
            events = [case.events for case in step.cases] if step.events is None else [step.events]
            names = " or ".join(map(events_words, events))
            return f"wait for {names} {'up to' if step.within else 'until'} {limit}"
        case If(_, condition):
            return f"{condition_words(condition)}?"
        case Switch():
            return "which case?"
        case Split():
            return "split"
        case Update():
            return f"set {', '.join(name for name, _ in pairs(step.attributes))}"
        case Call(_, action):
            return f"{action.method} {action.url}" if isinstance(action, Request) else f"call {action.name}"
        case Repeat():
            limit = f" up to {step.times} times" if step.times else ""
            return f"repeat{limit}{f' until {condition_words(step.until)}' if step.until is not None else ''}"
        case Enter(_, journey):
            return f"enter {journey}"
        case Exit(_, reason):
            return f"exit: {reason}"
        case _:
            assert_never(step)
