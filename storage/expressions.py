"""What an expression reads, as SQL over one row of `users`: a JSON value, or an instant. Missing and null are SQL's NULL.

What the entry and captured events hold is known before the statement runs, so it goes in as a parameter: one statement serves every
enrollment that asks the same condition.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never, cast

from sqlalchemy import ARRAY, BigInteger, Boolean, ColumnElement, Double, Text, bindparam, func, literal, literal_column, null, or_, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import INTERVAL, JSONB, JSONPATH, NUMERIC, TIMESTAMP, array
from sqlalchemy.sql.selectable import NamedFromClause, ScalarSelect

from journeys.language.conditions import (
    Captured,
    Device,
    Entry,
    ExpressionNode,
    LastDid,
    Location,
    Operand,
    Prop,
    Shifted,
    Timed,
    TimeExpression,
    Trait,
    When,
)
from journeys.language.durations import Ago, Ahead, Day, Duration, Instant
from journeys.language.reading import EVENT_NAME, LOCATION, is_place
from storage.tables import endpoints, events, identities, users

Sql = ColumnElement[Any]
INSTANT = TIMESTAMP(timezone=True)
WALL = TIMESTAMP(timezone=False)
UNKNOWN_JSON: Sql = sql_cast(null(), JSONB)

APP: Sql = bindparam("app", type_=Text)
AT: Sql = sql_cast(bindparam("at"), INSTANT)
ENTERED_AT: Sql = sql_cast(bindparam("entered_at"), INSTANT)
SOURCE: Sql = bindparam("source", type_=Text)
# Written out: the driver takes the first and the last moment of Python for those of Postgres, which are none, and a text that is
# cast to a moment or an interval is read anew for each row.
_FIRST: Sql = literal_column("timestamptz '0001-01-01 00:00:00+00'", INSTANT)
_LAST: Sql = literal_column("timestamptz '9999-12-31 23:59:59.999999+00'", INSTANT)
_SECOND: Sql = literal_column("interval '1 second'", INTERVAL)


@dataclass(frozen=True)
class Given:
    """Collects what has to be read in Python before the statement runs: parameter name to expression.

    `times`: when the person did an event last, where tables of the statement say it; of others it is looked up.
    """

    readings: dict[str, ExpressionNode] = field(default_factory=dict)
    times: Mapping[str, Sql] = field(default_factory=dict)

    def parameter(self, expression: ExpressionNode) -> Sql:
        name = f"given_{len(self.readings)}"
        self.readings[name] = expression
        return stored(bindparam(name, type_=Text))

    def last_did(self, wanted: LastDid) -> Sql:
        return self.times[wanted.event] if wanted.event in self.times else _last_did(wanted)


def people() -> ScalarSelect[Any]:
    """Internal ids whose events are this user's: their own, and those of everybody who was found to be them."""
    other = users.alias()
    mine = select(other.c.id).where(other.c.app == APP, or_(other.c.id == users.c.id, other.c.merged_into == users.c.id))
    return cast("ScalarSelect[Any]", func.array(mine.correlate(users).scalar_subquery(), type_=ARRAY(BigInteger)))


def subject() -> Sql:
    """The id that the caller knows the person by, as lock_person of storage/enrollments.py finds it: what arms and samples hash."""
    known = identities.alias()
    first = select(known.c.value).where(known.c.app == APP, known.c.user_id == users.c.id, known.c.kind == "a")
    anonymous = first.order_by(known.c.created_at, known.c.value).limit(1).correlate(users).scalar_subquery()
    return func.coalesce(users.c.user_id, anonymous, sql_cast(users.c.id, Text), type_=Text)


def json_of(operand: Operand, given: Given, event: NamedFromClause | None) -> Sql:  # noqa: PLR0911 - a case a kind
    """The JSON value of an expression or a literal. `last_did` is no JSON: ask `instant_of` for it."""
    match operand:
        case Trait(path):
            return walk(users.c.attributes, path)
        case Location(path):
            return walk(users.c.attributes, f"{LOCATION}.{path}")
        case Entry() | Captured():
            return given.parameter(operand)
        case Prop(path):
            return UNKNOWN_JSON if event is None else _of_event(event, path)
        case Device(path):
            return walk(_last_device(), path)
        case LastDid():
            return UNKNOWN_JSON
        case str() | int() | float():
            return stored(literal(as_text(operand), Text))
        case _:
            assert_never(operand)


def _last_did(wanted: LastDid) -> Sql:
    done = events_of_user(wanted.event)
    return select(func.max(done.c.occurred_at)).where(done.c.occurred_at <= AT).correlate(users).scalar_subquery()


def events_of_user(name: str) -> NamedFromClause:
    """Events of one name that are this user's.

    Found by who and name alone: with a time in the same search, Postgres would go through what everybody did at that time.
    """
    event = events.alias()
    found = select(event.c.name, event.c.properties, event.c.occurred_at).where(*of_user(event), event.c.name == name)
    return found.correlate(users).offset(0).subquery()


def of_user(event: NamedFromClause) -> tuple[Sql, Sql]:
    """An event is one of this user's."""
    return event.c.app == APP, event.c.user_id == func.any(people())


def instant_of(moment: When, given: Given, event: NamedFromClause | None) -> Sql:  # noqa: PLR0911 - a case a kind
    """The instant of a moment in a condition; NULL when it is missing or no time."""
    match moment:
        case Instant(point):
            return sql_cast(literal(point, INSTANT), INSTANT)
        case Day(day):
            return func.wall_to_instant(sql_cast(literal(day.isoformat(), Text), WALL), _zone())
        case Ago(duration):
            return from_now(-duration)
        case Ahead(duration):
            return from_now(duration)
        case Shifted(inner, by):
            return within_years(instant_of(inner, given, event) + interval_of(by))
        case Timed():
            return func.wall_to_instant(_wall(moment, given, event), _zone())
        case LastDid():
            return given.last_did(moment)
        case _:
            return func.instant_of(json_of(moment, given, event), users.c.timezone, type_=INSTANT)


def _wall(moment: TimeExpression, given: Given, event: NamedFromClause | None) -> Sql:
    match moment:
        case Timed(inner, clock):
            return sql_cast(func.date_trunc("day", _wall(inner, given, event)), WALL) + sql_cast(literal(clock, Text), INTERVAL)
        case Shifted(inner, by):
            return func.wall_within_years(_wall(inner, given, event) + interval_of(by), type_=WALL)
        case LastDid():
            return given.last_did(moment).op("AT TIME ZONE")(_zone())
        case _:
            return func.wall_of(json_of(moment, given, event), users.c.timezone, type_=WALL)


def walk(value: Sql, path: str, *, plainly: bool = False) -> Sql:
    """Follow a dotted path: keys of objects, and places of lists. `plainly`: null stays null, for who asks for a number or a text."""
    if "\0" in path:
        return UNKNOWN_JSON
    for part in path.split("."):
        value = _step(value, part, "->", JSONB())
    return value if plainly else func.nullif(value, sql_cast(literal("null", Text), JSONB), type_=JSONB)


def text_at(value: Sql, path: str) -> Sql:
    """What a path leads to as text, ordered by code point; a JSON text without its quotes. NULL where there is nothing."""
    *before, last = path.split(".")
    for part in before:
        value = _step(value, part, "->", JSONB())
    return _step(value, last, "->>", Text()).collate("C")


def holds_at(value: Sql, path: str, predicate: str) -> Sql:
    """Whether a predicate of SQL/JSON holds of what a path of keys leads to (@); NULL or false where it leads nowhere.

    One look at the whole, where `->` copies a value at each step of it. Only numbers compare with numbers. Raises ValueError for a path
    that may lead through lists.
    """
    if not is_of_keys(path):
        raise ValueError(path)
    keys = ".".join(json.dumps(part) for part in path.split("."))
    return value.op("@?", return_type=Boolean())(sql_cast(literal(f"strict $.{keys} ? ({predicate})", Text), JSONPATH))


def is_of_keys(path: str) -> bool:
    """A path that leads through objects alone, whatever there is."""
    return "\0" not in path and not any(map(is_place, path.split(".")))


def _step(value: Sql, part: str, arrow: str, kind: Any) -> Sql:
    if is_place(part):
        return value.op(arrow.replace("-", "#"), return_type=kind)(array([literal(part, Text)]))
    return value.op(arrow, return_type=kind)(literal(part, Text))


def is_no_json(value: Any) -> bool:
    """A text that is no JSON: whatever has it as its text is that text."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        json.loads(value)
    except ValueError:
        return True
    return False


def stored(text: Sql) -> Sql:
    """JSON given as text; null is missing."""
    return func.nullif(sql_cast(text, JSONB), sql_cast(literal("null", Text), JSONB), type_=JSONB)


def as_text(value: Any) -> str | None:
    """A value as JSON text; what jsonb could not hold (a NUL) is as missing."""
    text = json.dumps(value)
    return None if "\\u0000" in text else text


def number_of(value: Sql) -> Sql:
    """The JSON value as an exact number, NULL when it is none."""
    return func.json_number(value, type_=NUMERIC)


def amount_of(prop: Prop, event: NamedFromClause) -> Sql:
    """The number in a property of an event, NULL where there is none."""
    if prop.path == EVENT_NAME:
        return number_of(func.to_jsonb(event.c.name, type_=JSONB))
    return number_of(walk(event.c.properties, prop.path, plainly=True))


def text_of(value: Sql) -> Sql:
    """The JSON value as a text ordered by code point, NULL when it is none."""
    return func.json_text(value, type_=Text).collate("C")


def from_now(duration: Duration) -> Sql:
    """So long after AT, within the years 1 to 9999."""
    return clipped(AT + interval_of(duration))


def clipped(moment: Sql) -> Sql:
    """As within_years, of a moment that is known: an expression that Postgres looks into."""
    return func.greatest(func.least(moment, _LAST), _FIRST, type_=INSTANT)


def within_years(moment: Sql) -> Sql:
    return func.within_years(moment, type_=INSTANT)


def interval_of(duration: Duration) -> Sql:
    # In seconds: `1 day` would be a day of the calendar.
    return literal(duration.seconds, Double) * _SECOND


def _zone() -> Sql:
    return func.known_zone(users.c.timezone, type_=Text)


def _of_event(event: NamedFromClause, path: str) -> Sql:
    return func.to_jsonb(event.c.name, type_=JSONB) if path == EVENT_NAME else walk(event.c.properties, path)


def _last_device() -> Sql:
    device = endpoints.alias()
    newest = select(device.c.device).where(
        device.c.app == APP, device.c.user_id == users.c.id, device.c.channel == "push", device.c.state == "active"
    )
    return newest.order_by(device.c.confirmed_at.desc(), device.c.id.desc()).limit(1).correlate(users).scalar_subquery()
