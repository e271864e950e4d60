"""What pydantic says of a value of the wrong type, in an author's words: which class, which field, and what belongs there."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from pydantic import ValidationError

import journeys.language
from journeys.language import conditions, durations, entries, events, messages, payloads, steps
from journeys.language.errors import Problem
from journeys.language.nodes import Node

_A_TIME = "a length of time, such as days(1)"
_EVENTS = 'an event, such as event("signed_up")'
_CONDITION = 'a condition, such as has("push") or trait("plan") == "pro"'
_STEPS = "a list of steps in [ ]"
_CLOCK = 'a time of day with two digits each, such as "09:00"'
_MOMENT = 'a moment, such as at("09:00") or entry("starts_at") - hours(24)'
_OBJECT = 'names and values in { }, such as {"plan": "pro"}'
_VALUE = 'a text, a number, True, False, or an expression such as trait("plan")'

BELONGS: Mapping[str, str] = {
    "duration": _A_TIME,
    "within": _A_TIME,
    "last": _A_TIME,
    "ends_after": _A_TIME,
    "late_after": _A_TIME,
    "again_after": "a length of time, such as days(7), or ALWAYS",
    "per": 'a length of time, such as days(7), or "day", "week" or "month"',
    "message": 'a message, such as email("welcome")',
    "starts_on": 'an event, such as event("signed_up"), or segment(...), schedule(...), date(...), requested()',
    "exits_on": "events and conditions joined by |",
    "goal": 'an event within some time, such as event("order_placed").within(days(14))',
    "events": _EVENTS,
    "reset_by": _EVENTS,
    "when": "event(...) in a WaitFor, a condition in a Switch",
    "condition": _CONDITION,
    "where": _CONDITION,
    "then_where": _CONDITION,
    "steps": _STEPS,
    "then": _STEPS,
    "otherwise": _STEPS,
    "if_past": _STEPS,
    "cases": "a list of Case(...) in [ ]",
    "arms": "a list of Arm(...) in [ ]",
    "caps": "a list of Cap(...) in [ ]",
    "quiet_hours": 'QuietHours("21:00", "08:00")',
    "send_window": 'SendWindow("09:00", "18:00")',
    "days": 'a list of weekdays in small letters, such as ["monday", "tuesday"]',
    "counts": '"marketing" or "everything"',
    "key": 'prop("order_id"), a property of the entry event',
    "holdout": "a number: percent of the people",
    "weight": "a number: percent of the people",
    "percent": "a number: percent of the people",
    "times": "a whole number",
    "message_class": '"marketing" or "transactional"',
    "time": _CLOCK,
    "start": _CLOCK,
    "end": _CLOCK,
    "weekday": 'a weekday in small letters, such as "monday"',
    "every": '"year", or left out',
    "moment": 'an expression of a time, such as trait("renews_on") - days(7)',
    "action": 'request("POST", url) or function("name")',
    "attributes": _OBJECT,
    "arguments": _OBJECT,
    "properties": _OBJECT,
    "headers": _OBJECT,
    "right": _VALUE,
    "values": "a list of texts, numbers or expressions in [ ]",
    "at_most": "a number of 0 or more",
    "channel": "email, sms, push, voice, in_app, whatsapp, webhook or custom, in quotes",
}
_BELONGS_OF: Mapping[tuple[str, str], str] = {
    ("Did", "then"): 'the name of an event, such as "order_placed"',
    ("Repeat", "until"): _CONDITION,
    ("Wait", "until"): _MOMENT,
    ("WaitFor", "until"): _MOMENT,
}
_HOMES = (journeys.language, conditions, durations, entries, events, messages, payloads, steps)


def type_problems(pointer: str, error: ValidationError) -> list[Problem]:
    """Say in words what is wrong with the values that one call was given; one problem for each field."""
    cls = _class(error.title)
    found: dict[str, Problem] = {}
    for each in error.errors(include_url=False, include_input=False):
        field = _field(cls, each["loc"][0]) if each["loc"] else ""
        found.setdefault(field, Problem(pointer, "wrong_type", _words(error.title, cls, field, each)))
    return list(found.values())


def _words(title: str, cls: type[Node] | None, field: str, error: Any) -> str:
    match error["type"]:
        case "missing":
            return f"{title}(...) lacks {field}: give it {_belongs(title, field, error)}"
        case "unexpected_keyword_argument":
            return f"{title}(...) has no {field}=: it takes {', '.join(_names(cls))}"
        case "unexpected_positional_argument":
            return f"{title}(...) was given too many values without a name: write name=value behind the first ones"
        case _:
            return f"{title}(...) was given something else for {field}: it must be {_belongs(title, field, error)}"


def _belongs(title: str, field: str, error: Any) -> str:
    return _BELONGS_OF.get((title, field)) or BELONGS.get(field) or str(error["msg"]).removeprefix("Input should be ")


def _field(cls: type[Node] | None, place: str | int) -> str:
    names = list(_names(cls))
    return names[place] if isinstance(place, int) and place < len(names) else str(place)


def _names(cls: type[Node] | None) -> Iterator[str]:
    return (each.name for each in fields(cls) if each.name != "kind") if cls is not None else iter(())  # type: ignore[arg-type]


def _class(title: str) -> type[Node] | None:
    found = next((getattr(home, title) for home in _HOMES if hasattr(home, title)), None)
    return found if isinstance(found, type) and issubclass(found, Node) else None
