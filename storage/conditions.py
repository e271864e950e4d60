"""Conditions compiled to SQL: what they mean for whole tables of users. journeys/language/evaluate.py is the other reader; they agree.

Every condition becomes one boolean expression over a row of `users`, never NULL, with bound values only: for one user, by what is looked
up of them; for everybody, by tables that are made once (storage/crowds.py). Both mean the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, assert_never

from sqlalchemy import (
    Double,
    Integer,
    Select,
    Text,
    UnaryExpression,
    and_,
    bindparam,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import NUMERIC
from sqlalchemy.sql import operators
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
    Trait,
    When,
)
from journeys.language.durations import Ago, Ahead, Instant
from journeys.language.errors import OutsideSegment
from journeys.language.evaluate import rounded_degrees
from journeys.language.events import Events
from journeys.language.facts import EventFact, Facts
from journeys.language.reading import LOCATION, value
from journeys.language.walk import nodes_in
from storage import crowds
from storage.consents import ALL_MARKETING
from storage.database import Connection
from storage.expressions import (
    APP,
    AT,
    ENTERED_AT,
    SOURCE,
    Given,
    Sql,
    amount_of,
    as_text,
    clipped,
    events_of_user,
    from_now,
    holds_at,
    instant_of,
    interval_of,
    is_no_json,
    is_of_keys,
    json_of,
    number_of,
    subject,
    text_at,
    text_of,
    walk,
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
    as_of_everybody: bool = False,
) -> bool:
    """Say whether a condition holds for one user (the survivor, where people were joined) as of a moment.

    `entry`, `captured` and `source` are those of the enrollment that asks. `segments` gives the definitions of those that the condition
    names, None: the app's live ones are read. A name that is not there is a segment without anybody. A user who does not exist satisfies
    nothing.
    """
    named = await come_to(connection, app, condition) if segments is None else segments
    question = _question(condition, tuple(sorted(named.items(), key=itemgetter(0))), of_everybody=as_of_everybody)
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
def of_segment(condition: AnyCondition, segments: tuple[tuple[str, Definition], ...] = (), *, of_everybody: bool = True) -> Sql:
    """The condition of a segment as an expression over a row of `users`; its statement is run with `app`, `at` and NO_ENROLLMENT.

    `of_everybody`: the statement asks it in its WHERE of all users, or most; else of a few.
    """
    compiler = _Compiler(Given(), dict(segments), is_of_segment=True, of_everybody=of_everybody, is_positive=of_everybody)
    return compiler.compile(condition, None)


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
def _question(condition: AnyCondition, segments: tuple[tuple[str, Definition], ...] = (), *, of_everybody: bool = False) -> Question:
    given = Given()
    clause = _Compiler(given, dict(segments), of_everybody=of_everybody, is_positive=of_everybody).compile(condition, None)
    return Question(select(clause).select_from(users).where(users.c.app == APP), given)


@dataclass(frozen=True)
class _Compiler:
    """Of everybody: `is_joined`: this part must hold of whoever is in, so that tables can be joined; `is_positive`: unknown is as false."""

    given: Given
    segments: Mapping[str, Definition] = field(default_factory=dict)
    is_of_segment: bool = False
    of_everybody: bool = False
    is_joined: bool = True
    is_positive: bool = False

    def compile(self, condition: AnyCondition, event: NamedFromClause | None) -> Sql:
        """The condition as an expression that is true or false, never NULL. `event` is the row that `prop` reads."""
        if self.of_everybody and event is None and (wanted := _last_dids(condition)):
            return crowds.by_last_did(wanted, lambda times: self._knowing(times).by_kind(condition, event), is_joined=self.is_joined)
        return self.by_kind(condition, event)

    @property
    def _apart(self) -> "_Compiler":
        return replace(self, is_joined=False)

    def _knowing(self, times: Mapping[str, Sql]) -> "_Compiler":
        return replace(self, given=replace(self.given, times=times))

    def by_kind(self, condition: AnyCondition, event: NamedFromClause | None) -> Sql:  # noqa: C901, PLR0911, PLR0912 - a case a kind
        """As `compile`, where the times of `last_did` are known or are looked up."""
        match condition:
            case Compare():
                return self._compare(condition, event)
            case IsIn(left, values):
                return self._sure(or_(false(), *(self._json(left, event) == self._json(each, event) for each in values)))
            case Contains(left, right):
                whole, part = self._json(left, event), self._json(right, event)
                in_text = func.strpos(text_of(whole), text_of(part)) > 0
                return self._sure(func.coalesce(in_text, and_(part.is_not(None), func.list_has(whole, part))))
            case StartsWith(left, right):
                return self._sure(func.starts_with(text_of(self._json(left, event)), text_of(self._json(right, event))))
            case Exists(of):
                return (self.given.last_did(of) if isinstance(of, LastDid) else self._json(of, event)).is_not(None)
            case Before(left, right):
                return self._sure(self._is_before(left, right, event))
            case After(left, right):
                return self._sure(self._is_after(left, right, event))
            case Near():
                return crowds.is_near(condition, *_here(), *_there(condition)) if self.of_everybody else _is_near(condition)
            case Has(channel):
                return _has(channel)
            case Did():
                return self._did(condition, event)
            case MessageWas():
                return _message_was(condition)
            case InSegment(segment):
                return self._in_segment(segment)
            case Subscribed(topic):
                return and_(self._is_not_withdrawn(None, topic, ALL_MARKETING), self._is_not_withdrawn(EVERY, EVERY))
            case Sample():
                bucket = crowds.bucket_of(condition) if self.of_everybody else _bucket_of(condition)
                return bucket < literal(share(condition.percent), Integer)
            case Statement(sql):
                return self._statement(sql)
            case And(parts):
                return and_(true(), *(self.compile(part, event) for part in parts))
            case Or(parts):
                return or_(false(), *(self._apart.compile(part, event) for part in parts))
            case Not(part):
                return self._negated(part, event)
            case _:
                assert_never(condition)

    def _negated(self, part: AnyCondition, event: NamedFromClause | None) -> Sql:
        """Not of the whole but of its parts, so that each stands where Postgres joins it instead of asking it row by row."""
        match part:
            case And(parts):
                return or_(false(), *(self._apart.compile(Not(each), event) for each in parts))
            case Or(parts):
                return and_(true(), *(self.compile(Not(each), event) for each in parts))
            case Not(inner):
                return self.compile(inner, event)
            case _:
                return _opposite(replace(self, is_positive=False).compile(part, event))

    def _sure(self, asked: Sql) -> Sql:
        """Two-valued: what is not known is false."""
        return asked if self.is_positive else func.coalesce(asked, false())

    def _json(self, operand: Any, event: NamedFromClause | None) -> Sql:
        return json_of(operand, self.given, event)

    def _compare(self, asked: Compare, event: NamedFromClause | None) -> Sql:
        times = [self.given.last_did(side) for side in (asked.left, asked.right) if isinstance(side, LastDid)]
        sides = [self._json(side, event) for side in (asked.left, asked.right) if not isinstance(side, LastDid)]
        if len(times) == 1:
            # An instant is neither equal to a JSON value nor before or after it.
            return and_(times[0].is_not(None), sides[0].is_not(None)) if asked.op == "!=" else false()
        left, right = times or sides
        if self.of_everybody and asked.op == "==" and isinstance(asked.left, Trait) and is_no_json(asked.right):
            return self._sure(text_at(users.c.attributes, asked.left.path) == literal(asked.right, Text))
        if asked.op in ("==", "!="):
            return self._sure(left == right if asked.op == "==" else left != right)
        compared = _ORDERED[asked.op]
        if times:
            return self._sure(getattr(left, compared)(right))
        return self._sure(self._in_order(asked, compared, left, right))

    def _in_order(self, asked: Compare, compared: str, left: Sql, right: Sql) -> Sql:
        is_number = isinstance(asked.right, (int, float)) and not isinstance(asked.right, bool)
        if self.of_everybody and isinstance(asked.left, Trait) and is_number and is_of_keys(asked.left.path):
            return holds_at(users.c.attributes, asked.left.path, f"@ {asked.op} {as_text(asked.right)}")
        numbers: Sql = getattr(number_of(left), compared)(number_of(right))
        texts: Sql = getattr(text_of(left), compared)(text_of(right))
        if isinstance(asked.right, str):
            return texts
        return numbers if is_number else func.coalesce(numbers, texts)

    def _is_before(self, left: Any, right: When, event: NamedFromClause | None) -> Sql:
        is_before = instant_of(left, self.given, event) < instant_of(right, self.given, event)
        written = self._written(left, right)
        return is_before if written is None else and_(written <= crowds.day_of(right, days=2).concat("~"), is_before)

    def _is_after(self, left: Any, right: When, event: NamedFromClause | None) -> Sql:
        is_after = instant_of(left, self.given, event) > instant_of(right, self.given, event)
        written = self._written(left, right)
        return is_after if written is None else and_(written >= crowds.day_of(right, days=-2), is_after)

    def _written(self, left: Any, right: When) -> Sql | None:
        """The text of what is compared with a moment that is the same for everybody: it begins with a day, and reading it costs most."""
        if not self.of_everybody or not isinstance(left, Trait) or not isinstance(right, (Ago, Ahead, Instant)):
            return None
        return text_at(users.c.attributes, left.path)

    def _in_segment(self, name: str) -> Sql:
        if name not in self.segments:
            return false()
        found = self.segments[name]
        if isinstance(found, str):
            return _is_listed(name)
        others = {each: condition for each, condition in self.segments.items() if each != name}
        return replace(self, segments=others, is_of_segment=True).compile(found, None)

    def _is_not_withdrawn(self, channel: str | None, *topics: str) -> Sql:
        if not self.of_everybody:
            return _is_not_withdrawn(channel, *topics)
        return _opposite(self._among(crowds.who_withdrew(channel, *topics)))

    def _statement(self, sql: str) -> Sql:
        if not self.is_of_segment:
            raise OutsideSegment
        given = func.segment_sql(APP, literal(sql, Text)).table_valued("id").render_derived()
        return users.c.id.in_(select(given.c.id))

    def _did(self, asked: Did, event: NamedFromClause | None) -> Sql:
        is_of_everybody = self.of_everybody and event is None and asked.since is None
        done = events.alias() if is_of_everybody else events_of_user(asked.event)
        limits, window = self._window(asked, event, done)
        if is_of_everybody:
            return and_(*limits, self._did_of_everybody(asked, done, window))
        rows = [*self._deed(asked, done), *window]
        if asked.then is not None:
            rows.append(self._is_followed(asked, done))
        if asked.at_least is None and asked.at_most is None:
            return and_(*limits, exists(select(literal(1)).select_from(done).where(*rows).correlate(users)))
        what: Sql = func.count()
        if asked.total is not None:
            what = func.coalesce(func.sum(amount_of(asked.total, done)), 0)
        measure = select(what).select_from(done).where(*rows).correlate(users).scalar_subquery()
        return and_(*limits, *_bounds(measure, asked))

    def _did_of_everybody(self, asked: Did, done: NamedFromClause, window: Sequence[Sql]) -> Sql:
        """Where nobody's nothing is within the bounds too, those who are in are all but those who are outside of them."""
        number = None if asked.total is None else amount_of(asked.total, done)
        if asked.at_least is None and asked.at_most is None:
            return self._who(asked, window, crowds.Deeds(done, (), number))
        if (asked.at_least or 0) <= 0 <= (0 if asked.at_most is None else asked.at_most):
            deeds = crowds.Deeds(done, (), number, lambda amount: not_(and_(*_bounds(amount, asked))))
            return _opposite(self._who(asked, window, deeds))
        return self._who(asked, window, crowds.Deeds(done, (), number, lambda amount: and_(*_bounds(amount, asked))))

    def _who(self, asked: Did, window: Sequence[Sql], deeds: crowds.Deeds) -> Sql:
        done = deeds.done
        if asked.then is None:
            return self._among(crowds.who_did(replace(deeds, rows=(done.c.app == APP, *self._deed(asked, done), *window))))
        # What follows is not before the first: a window up to the moment holds of both.
        of_both = window if asked.last is not None else ()
        rows = [done.c.app == APP, done.c.name.in_(asked.names), done.c.occurred_at <= AT, *of_both]
        first = [*(() if of_both else window), *(() if asked.where is None else (self.compile(asked.where, done),))]
        second = () if asked.then_where is None else (self.compile(asked.then_where, done),)
        is_first, is_second = and_(done.c.name == asked.event, *first), and_(done.c.name == asked.then, *second)
        if first or second:
            rows.append(or_(is_first, is_second))
        following = crowds.Following(is_first, is_second, partial(_is_in_time, asked))
        return self._among(crowds.who_went_on(replace(deeds, rows=rows), following))

    def _among(self, found: Select[Any]) -> Sql:
        """One of them: joined where that is possible, else looked up among all of them."""
        return crowds.is_joined(found) if self.is_joined else users.c.id.in_(found)

    def _deed(self, asked: Did, done: NamedFromClause) -> list[Sql]:
        rows = [done.c.name == asked.event, done.c.occurred_at <= AT]
        return rows if asked.where is None else [*rows, self.compile(asked.where, done)]

    def _is_followed(self, asked: Did, first: NamedFromClause) -> Sql:
        second = events_of_user(str(asked.then))
        rows = [second.c.occurred_at > first.c.occurred_at, second.c.occurred_at <= AT]
        rows.append(_is_in_time(asked, first.c.occurred_at, second.c.occurred_at))
        if asked.then_where is not None:
            rows.append(self.compile(asked.then_where, second))
        return exists(select(literal(1)).select_from(second).where(*rows).correlate(users, first))

    def _window(self, asked: Did, event: NamedFromClause | None, done: NamedFromClause) -> tuple[list[Sql], list[Sql]]:
        """What must be known for the question to make sense, and which events are in its window."""
        limits: list[Sql] = [true()]
        window: list[Sql] = []
        if asked.last is not None:
            window.append(done.c.occurred_at >= from_now(-asked.last))
        if asked.since is not None:
            limits.append(ENTERED_AT.is_not(None))
            window.append(done.c.occurred_at >= ENTERED_AT)
        if asked.between is not None:
            first, end = (instant_of(each, self.given, event) for each in asked.between)
            limits += [first.is_not(None), end.is_not(None)]
            window += [done.c.occurred_at >= first, done.c.occurred_at < end]
        return limits, window


def _is_in_time(asked: Did, first_at: Sql, second_at: Sql) -> Sql:
    if asked.within is None:
        return second_at.is_not(None)
    return second_at <= clipped(first_at + interval_of(asked.within))


def _last_dids(condition: AnyCondition) -> Sequence[str]:
    """The events whose last times one comparison is about: it holds of nobody who never did one of them."""
    if not isinstance(condition, (Compare, Exists, Before, After)):
        return ()
    return sorted({each.event for each in nodes_in(condition) if isinstance(each, LastDid)})


def _opposite(clause: Sql) -> Sql:
    """Not it; of a negation what it negates: Postgres does not join what is negated twice."""
    if isinstance(clause, UnaryExpression) and clause.operator is operators.inv:
        return clause.element
    return not_(clause)


def _bounds(measure: Sql, asked: Did) -> list[Sql]:
    bounds = []
    if asked.at_least is not None:
        bounds.append(measure >= literal(Decimal(str(asked.at_least)), NUMERIC))
    if asked.at_most is not None:
        bounds.append(measure <= literal(Decimal(str(asked.at_most)), NUMERIC))
    return bounds


def _is_near(asked: Near) -> Sql:
    latitude, longitude = map(number_of, _here())
    here = [sql_cast(func.round(each, 9), Double) for each in (latitude, longitude)]
    is_place = and_(latitude.between(-90, 90), longitude.between(-180, 180))
    return func.coalesce(and_(is_place, func.distance_km(*here, *_there(asked)) <= literal(asked.km, Double)), false())


def _here() -> list[Sql]:
    """Latitude and longitude of the person, as JSON."""
    return [walk(users.c.attributes, f"{LOCATION}.{each}", plainly=True) for each in ("latitude", "longitude")]


def _there(asked: Near) -> list[Sql]:
    return [literal(rounded_degrees(Decimal(str(each))), Double) for each in (asked.latitude, asked.longitude)]


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


def _bucket_of(asked: Sample) -> Sql:
    return func.bucket(APP, literal(SAMPLE, Text), literal(asked.salt or "", Text), subject(), type_=Integer)
