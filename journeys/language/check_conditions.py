"""What can be wrong with conditions, expressions and events, wherever they stand in a journey."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from journeys.language.conditions import (
    Captured,
    Compare,
    ConditionNode,
    Contains,
    Device,
    Did,
    ExpressionNode,
    Has,
    InSegment,
    IsIn,
    LastDid,
    Location,
    MessageWas,
    Near,
    Prop,
    Sample,
    StartsWith,
    Statement,
    Subscribed,
    Trait,
)
from journeys.language.durations import Ago, Ahead, BestTime
from journeys.language.errors import Problem
from journeys.language.events import Event, Events
from journeys.language.findings import Place
from journeys.language.nodes import Node, fields_of
from journeys.language.permitted_sql import faults
from journeys.language.steps import AnyStep, Call, Send, Wait, WaitFor
from journeys.language.walk import nodes_in

_OF_A_USER = (Trait, Device, Location, LastDid, Near, Has, Did, MessageWas, InSegment, Subscribed, Sample, Statement, Ago, Ahead)


def conditions_in(value: Any, place: Place) -> Iterator[Problem]:
    """Find what is wrong in a value and all inside it, but not in steps inside it."""
    if isinstance(value, tuple):
        for each in value:
            yield from conditions_in(each, place)
    if not isinstance(value, Node) or isinstance(value, AnyStep):
        return
    yield from _node(value, place)
    match value:
        case Event():
            yield from _where(value.where, place)
        case Did():
            yield from _where(value.where, place)
            yield from _where(value.then_where, place)
            yield from conditions_in(value.between, place)
        case _:
            for _, inner in fields_of(value):
                yield from conditions_in(inner, place)


def _where(condition: ConditionNode | None, place: Place) -> Iterator[Problem]:
    """Of an event only itself, the entry and what was captured can be asked: it is read where nothing else is at hand."""
    for each in nodes_in(condition):
        if isinstance(each, _OF_A_USER):
            yield place.problem(
                "where_asks_more",
                f"`{each.kind}` cannot be asked inside .where(...): use prop, entry, captured and literals there, and an If for the rest",
            )
        elif not isinstance(each, Prop):
            yield from _node(each, place)


def _node(each: Node, place: Place) -> Iterator[Problem]:
    yield from _texts(each, place)
    match each:
        case Prop():
            yield place.problem("prop_outside_event", "prop(...) is read of an event: use it in .where, key, where= and total= only")
        case Captured():
            yield from _captured(each, place)
        case Event():
            if not each.name.strip():
                yield place.problem("event_without_name", "an event needs a name: write the one that your tracking sends")
        case Events():
            yield from _events(each, place)
        case Compare() | IsIn() | Contains() | StartsWith():
            yield from _operator(each, place)
        case Near():
            if not (-90 <= each.latitude <= 90 and -180 <= each.longitude <= 180 and each.km > 0):
                yield place.problem(
                    "near_no_place",
                    "near(latitude, longitude, km) is outside of the world: write -90 to 90, -180 to 180 and a distance above 0",
                )
        case Did():
            yield from _did(each, place)
        case MessageWas():
            yield from _message_was(each, place)
        case Sample():
            if not 0 <= each.percent <= 100 or Decimal(str(each.percent)) * 100 % 1:
                yield place.problem(
                    "sample_percent", "a sample is a percentage from 0 to 100 with two decimals at most: write 10 for every tenth person"
                )
        case Statement():
            yield from _statement(each, place)
        case BestTime():
            if each.within.seconds <= 0:
                yield place.problem("no_duration", "best_time(within=...) must be longer than 0: write a length of time, such as hours(24)")
    if isinstance(each, ExpressionNode) and "" in str(getattr(each, "path", "-")).split("."):
        yield place.problem("path_empty_part", "a path has an empty part: write names joined by single dots")


def _texts(each: Node, place: Place) -> Iterator[Problem]:
    for _, value in fields_of(each):
        if any(isinstance(text, str) and "\0" in text for text in (value if isinstance(value, tuple) else (value,))):
            yield place.problem("text_with_nul", "a text contains the character NUL, which no stored value can contain: remove it")


def _captured(each: Captured, place: Place) -> Iterator[Problem]:
    step = place.known(each.step)
    if step is None:
        yield place.problem("captured_unknown", f"captured({each.step!r}, ...) names no earlier step: name one that captures")
    elif not (isinstance(step, (WaitFor, Call)) or (isinstance(step, Wait) and step.reset_by is not None)):
        yield place.problem("captures_nothing", f"step {each.step!r} captures nothing: name a WaitFor, a Call, or a Wait with reset_by=")


def _events(each: Events, place: Place) -> Iterator[Problem]:
    if not each.any_of:
        yield place.problem("no_events", "there is no event here: name at least one")
    if len({(event.name, bool(event.any_key)) for event in each.any_of}) > len(each.names):
        yield place.problem("any_key_mixed", "the same event stands here with and without any_key(): decide for one")


def _operator(each: Compare | IsIn | Contains | StartsWith, place: Place) -> Iterator[Problem]:
    match each:
        case Compare(LastDid(), _, str() | int() | float()):
            yield place.problem("time_and_literal", "last_did(...) is a time: compare it with .before(...) and .after(...)")
        case Compare(_, "<" | "<=" | ">" | ">=", bool()):
            yield place.problem("no_order", "true and false have no order: use == or !=")
        case IsIn(_, ()):
            yield place.problem("is_in_nothing", "is_in([]) never holds: name values, or remove the condition")
        case StartsWith(_, bool() | int() | float()):
            yield place.problem("starts_with_no_text", "starts_with compares texts: write a text, or compare with ==")
        case _:
            return


def _did(each: Did, place: Place) -> Iterator[Problem]:
    low, high = each.at_least, each.at_most
    if not each.event.strip():
        yield place.problem("event_without_name", "an event needs a name: write the one that your tracking sends")
    if each.total is not None and low is None and high is None:
        yield place.problem("total_without_bound", "total= adds up and compares with nothing: write at_least= or at_most=")
    if low is not None and high is not None and low > high:
        yield place.problem(
            "bounds_cross", "at_least= is above at_most=, which nothing satisfies: exchange them, or write did(...) | did(...)"
        )
    if each.total is None and low is not None and low <= 0 and high is None:
        yield place.problem("always_true", "at_least=0 always holds: name a number above 0, or remove the condition")
    if each.last is not None and each.last.seconds <= 0:
        yield place.problem("no_duration", "last= must be longer than 0: write a length of time, such as days(30)")
    if [each.last, each.since, each.between].count(None) < 2:
        yield place.problem("several_windows", "this counts in several windows at once: write one of last=, since= and between=")
    yield from _sequence(each, place)


def _statement(each: Statement, place: Place) -> Iterator[Problem]:
    if not place.is_segment:
        yield place.problem("sql_outside_segment", "sql(...) can be asked in a segment only: put it into one, and ask in_segment(...) here")
    if not each.sql.strip():
        yield place.problem("sql_without_text", "sql(...) is empty: write a SELECT of user ids")
    elif place.is_segment:
        for words in faults(each.sql):
            yield place.problem("sql_not_permitted", f"this SQL cannot be asked: {words}")


def _sequence(each: Did, place: Place) -> Iterator[Problem]:
    if (each.then is None) != (each.within is None) or (each.then is None and each.then_where is not None):
        yield place.problem("half_a_sequence", 'a sequence is then= and within= together: write did("a", then="b", within=days(3))')
    if each.then is not None and not each.then.strip():
        yield place.problem("event_without_name", "then= needs a name of an event: write the one that your tracking sends")
    if each.within is not None and each.within.seconds <= 0:
        yield place.problem("no_duration", "within= must be longer than 0: write a length of time, such as days(3)")


def _message_was(each: MessageWas, place: Place) -> Iterator[Problem]:
    if (each.step is None) == (each.template is None):
        yield place.problem(
            "step_or_template", f"{each.state}(...) asks about a step or a template, and not both: write step= or template="
        )
    elif each.step is not None and not isinstance(place.known(each.step), Send):
        yield place.problem(
            "no_such_send", f"{each.state}(step={each.step!r}) names no Send before this place: name one, or ask about a template="
        )
