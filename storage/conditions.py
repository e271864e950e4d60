"""Conditions compiled to SQL: what they mean for whole tables of users. journeys/language/evaluate.py is the other reader; they agree.

Every condition becomes one boolean expression over a row of `users`, never NULL, with bound values only. Here it answers for
one user; it can select a segment as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any, assert_never

from sqlalchemy import Double, Integer, Select, Text, and_, bindparam, exists, false, func, literal, not_, or_, select, true
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import NUMERIC
from sqlalchemy.sql.selectable import NamedFromClause

from journeys.language.assign import SAMPLE, share
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
    LastDid,
    MessageWas,
    Near,
    Not,
    Or,
    Sample,
    StartsWith,
    Statement,
    Subscribed,
)
from journeys.language.errors import OutsideSegment
from journeys.language.evaluate import rounded_degrees
from journeys.language.events import Events
from journeys.language.facts import EventFact, Facts
from journeys.language.reading import LOCATION, value
from storage.consents import ALL_MARKETING
from storage.database import Connection
from storage.expressions import (
    APP,
    AT,
    ENTERED_AT,
    SOURCE,
    Given,
    Sql,
    as_text,
    instant_of,
    interval_of,
    json_of,
    last_did,
    number_of,
    of_user,
    subject,
    text_of,
    walk,
    within_years,
)
from storage.segments import Definition, come_to
from storage.tables import consents, endpoints, events, listed_people, messages, users

EVERY = "*"
NO_ENROLLMENT: Mapping[str, Any] = {"entered_at": None, "source": ""}
_ORDERED = {"<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}


async def holds(
    connection: Connection,
    app: str,
    condition: AnyCondition,
    *,
    user_id: int,
    at: datetime,
    entry: EventFact | None = None,
    captured: Mapping[str, EventFact] | None = None,
    source: str = "",
    segments: Mapping[str, Definition] | None = None,
) -> bool:
    """Say whether a condition holds for one user (the survivor, where people were joined) as of a moment.

    `entry`, `captured` and `source` are those of the enrollment that asks. `segments` gives the definitions of those that the condition
    names, None: the app's live ones are read. A name that is not there is a segment without anybody. A user who does not exist satisfies
    nothing.
    """
    named = await come_to(connection, app, condition) if segments is None else segments
    question = _question(condition, tuple(sorted(named.items(), key=itemgetter(0))))
    statement = question.statement.where(users.c.id == bindparam("user_id"))
    facts = Facts(entry=entry, captured=captured or {})
    found = await connection.execute(
        statement,
        {
            "app": app,
            "at": at,
            "user_id": user_id,
            "entered_at": entry.occurred_at if entry else None,
            "source": source,
            **{name: as_text(value(expression, facts, at)) for name, expression in question.given.readings.items()},
        },
    )
    return bool(found.scalar())


@lru_cache(maxsize=512)
def of_segment(condition: AnyCondition, segments: tuple[tuple[str, Definition], ...] = ()) -> Sql:
    """The condition of a segment as an expression over a row of `users`; its statement is run with `app`, `at` and NO_ENROLLMENT."""
    return _Compiler(Given(), dict(segments), is_of_segment=True).compile(condition, None)


def of_events(meant: Events, event: NamedFromClause) -> Sql:
    """Whether a row of `events` is one of those meant. Their `.where` reads the event alone: no entry, nothing captured."""
    names = [
        and_(event.c.name == each.name, *([] if each.where is None else [_Compiler(Given()).compile(each.where, event)]))
        for each in meant.any_of
    ]
    return or_(false(), *names)


@dataclass(frozen=True)
class Question:
    """One condition as a statement over users, and what must be read in Python before it runs."""

    statement: Select[Any]
    given: Given


@lru_cache(maxsize=2048)
def _question(condition: AnyCondition, segments: tuple[tuple[str, Definition], ...] = ()) -> Question:
    given = Given()
    clause = _Compiler(given, dict(segments)).compile(condition, None)
    return Question(select(clause).select_from(users).where(users.c.app == APP), given)


@dataclass(frozen=True)
class _Compiler:
    given: Given
    segments: Mapping[str, Definition] = field(default_factory=dict)
    is_of_segment: bool = False

    def compile(self, condition: AnyCondition, event: NamedFromClause | None) -> Sql:  # noqa: C901, PLR0911, PLR0912 - a case a kind
        """The condition as an expression that is true or false, never NULL. `event` is the row that `prop` reads."""
        match condition:
            case Compare():
                return self._compare(condition, event)
            case IsIn(left, values):
                return _sure(or_(false(), *(self._json(left, event) == self._json(each, event) for each in values)))
            case Contains(left, right):
                whole, part = self._json(left, event), self._json(right, event)
                in_text = func.strpos(text_of(whole), text_of(part)) > 0
                return _sure(func.coalesce(in_text, and_(part.is_not(None), func.list_has(whole, part))))
            case StartsWith(left, right):
                return _sure(func.starts_with(text_of(self._json(left, event)), text_of(self._json(right, event))))
            case Exists(of):
                return (last_did(of) if isinstance(of, LastDid) else self._json(of, event)).is_not(None)
            case Before(left, right):
                return _sure(instant_of(left, self.given, event) < instant_of(right, self.given, event))
            case After(left, right):
                return _sure(instant_of(left, self.given, event) > instant_of(right, self.given, event))
            case Near():
                return _is_near(condition)
            case Has(channel):
                return _has(channel)
            case Did():
                return self._did(condition, event)
            case MessageWas():
                return _message_was(condition)
            case InSegment(segment):
                return self._in_segment(segment)
            case Subscribed(topic):
                return and_(_is_not_withdrawn(None, topic, ALL_MARKETING), _is_not_withdrawn(EVERY, EVERY))
            case Sample():
                return _is_in_sample(condition)
            case Statement(sql):
                return self._statement(sql)
            case And(parts):
                return and_(true(), *(self.compile(part, event) for part in parts))
            case Or(parts):
                return or_(false(), *(self.compile(part, event) for part in parts))
            case Not(part):
                return not_(self.compile(part, event))
            case _:
                assert_never(condition)

    def _json(self, operand: Any, event: NamedFromClause | None) -> Sql:
        return json_of(operand, self.given, event)

    def _compare(self, asked: Compare, event: NamedFromClause | None) -> Sql:
        times = [last_did(side) for side in (asked.left, asked.right) if isinstance(side, LastDid)]
        sides = [self._json(side, event) for side in (asked.left, asked.right) if not isinstance(side, LastDid)]
        if len(times) == 1:
            # An instant is neither equal to a JSON value nor before or after it.
            return and_(times[0].is_not(None), sides[0].is_not(None)) if asked.op == "!=" else false()
        left, right = times or sides
        if asked.op in ("==", "!="):
            return _sure(left == right if asked.op == "==" else left != right)
        compared = _ORDERED[asked.op]
        if times:
            return _sure(getattr(left, compared)(right))
        numbers = getattr(number_of(left), compared)(number_of(right))
        return _sure(func.coalesce(numbers, getattr(text_of(left), compared)(text_of(right))))

    def _in_segment(self, name: str) -> Sql:
        if name not in self.segments:
            return false()
        found = self.segments[name]
        if isinstance(found, str):
            return _is_listed(name)
        others = {each: condition for each, condition in self.segments.items() if each != name}
        return _Compiler(self.given, others, is_of_segment=True).compile(found, None)

    def _statement(self, sql: str) -> Sql:
        if not self.is_of_segment:
            raise OutsideSegment
        given = func.segment_sql(APP, literal(sql, Text)).table_valued("id").render_derived()
        return users.c.id.in_(select(given.c.id))

    def _did(self, asked: Did, event: NamedFromClause | None) -> Sql:
        done = events.alias()
        limits, window = self._window(asked, event, done)
        rows = [*of_user(done), done.c.name == asked.event, done.c.occurred_at <= AT, *window]
        if asked.where is not None:
            rows.append(self.compile(asked.where, done))
        if asked.then is not None:
            rows.append(self._is_followed(asked, done))
        if asked.at_least is None and asked.at_most is None:
            return and_(*limits, exists(select(literal(1)).select_from(done).where(*rows).correlate(users)))
        what: Sql = func.count()
        if asked.total is not None:
            what = func.coalesce(func.sum(number_of(json_of(asked.total, self.given, done))), 0)
        measure = select(what).select_from(done).where(*rows).correlate(users).scalar_subquery()
        return and_(*limits, *_bounds(measure, asked))

    def _is_followed(self, asked: Did, first: NamedFromClause) -> Sql:
        second = events.alias()
        rows = [*of_user(second), second.c.name == asked.then, second.c.occurred_at > first.c.occurred_at, second.c.occurred_at <= AT]
        if asked.within is not None:
            rows.append(second.c.occurred_at <= within_years(first.c.occurred_at + interval_of(asked.within)))
        if asked.then_where is not None:
            rows.append(self.compile(asked.then_where, second))
        return exists(select(literal(1)).select_from(second).where(*rows).correlate(users, first))

    def _window(self, asked: Did, event: NamedFromClause | None, done: NamedFromClause) -> tuple[list[Sql], list[Sql]]:
        """What must be known for the question to make sense, and which events are in its window."""
        limits: list[Sql] = [true()]
        window: list[Sql] = []
        if asked.last is not None:
            window.append(done.c.occurred_at >= within_years(AT - interval_of(asked.last)))
        if asked.since is not None:
            limits.append(ENTERED_AT.is_not(None))
            window.append(done.c.occurred_at >= ENTERED_AT)
        if asked.between is not None:
            first, end = (instant_of(each, self.given, event) for each in asked.between)
            limits += [first.is_not(None), end.is_not(None)]
            window += [done.c.occurred_at >= first, done.c.occurred_at < end]
        return limits, window


def _bounds(measure: Sql, asked: Did) -> list[Sql]:
    bounds = []
    if asked.at_least is not None:
        bounds.append(measure >= literal(Decimal(str(asked.at_least)), NUMERIC))
    if asked.at_most is not None:
        bounds.append(measure <= literal(Decimal(str(asked.at_most)), NUMERIC))
    return bounds


def _is_near(asked: Near) -> Sql:
    latitude = number_of(walk(users.c.attributes, f"{LOCATION}.latitude"))
    longitude = number_of(walk(users.c.attributes, f"{LOCATION}.longitude"))
    here = [sql_cast(func.round(each, 9), Double) for each in (latitude, longitude)]
    there = [literal(rounded_degrees(Decimal(str(each))), Double) for each in (asked.latitude, asked.longitude)]
    is_place = and_(latitude.between(-90, 90), longitude.between(-180, 180))
    return _sure(and_(is_place, func.distance_km(*here, *there) <= literal(asked.km, Double)))


def _has(channel: str) -> Sql:
    endpoint = endpoints.alias()
    active = (endpoint.c.app == APP, endpoint.c.user_id == users.c.id, endpoint.c.channel == channel, endpoint.c.state == "active")
    return exists(select(literal(1)).select_from(endpoint).where(*active).correlate(users))


def _message_was(asked: MessageWas) -> Sql:
    message = messages.alias()
    rows: list[Sql] = [message.c.app == APP, message.c.user_id == users.c.id]
    if asked.state == "sent":
        rows += [message.c.state == "sent", message.c.settled_at <= AT]
    else:
        rows.append(message.c[f"{asked.state}_at"] <= AT)
    if asked.step is not None:
        rows += [message.c.source == SOURCE, message.c.step == asked.step]
    if asked.template is not None:
        rows.append(message.c.template == asked.template)
    return exists(select(literal(1)).select_from(message).where(*rows).correlate(users))


def _is_not_withdrawn(channel: str | None, *topics: str) -> Sql:
    """The newest word on these topics, of any channel unless one is named, is not that it is over."""
    said = consents.alias()
    rows = [said.c.app == APP, said.c.user_id == users.c.id, said.c.topic.in_(topics)]
    if channel is not None:
        rows.append(said.c.channel == channel)
    newest = select(said.c.state).where(*rows).order_by(said.c.id.desc()).limit(1).correlate(users).scalar_subquery()
    return func.coalesce(newest != "withdrawn", true())


def _is_listed(segment: str) -> Sql:
    listed = listed_people.alias()
    row = (listed.c.app == APP, listed.c.segment == segment, listed.c.user_id == users.c.id)
    return exists(select(literal(1)).select_from(listed).where(*row).correlate(users))


def _is_in_sample(asked: Sample) -> Sql:
    bucket = func.bucket(APP, literal(SAMPLE, Text), literal(asked.salt or "", Text), subject(), type_=Integer)
    return bucket < literal(share(asked.percent), Integer)


def _sure(asked: Sql) -> Sql:
    """Two-valued: what is not known is false."""
    return func.coalesce(asked, false())
