"""What is asked of everybody, by tables that a statement makes once: those of whom it holds, joined to `users` as a whole.

Asked person by person, a million people would be a million searches. An event keeps the id that it came under; what is counted by these ids
is put together for those who were found to be one person, who are few.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import cos, radians
from typing import Any, TypeAlias

from sqlalchemy import BigInteger, ColumnElement, Double, Select, Text, and_, case, cast, exists, false, func, literal, select, true
from sqlalchemy.dialects.postgresql import BIT, BYTEA, INTERVAL, NUMERIC
from sqlalchemy.sql import visitors
from sqlalchemy.sql.selectable import FromClause, NamedFromClause

from journeys.language.assign import BUCKETS, SAMPLE
from journeys.language.conditions import Near, Sample, When
from journeys.language.reading import LOCATION
from storage.expressions import APP, AT, INSTANT, Given, Sql, holds_at, instant_of, subject
from storage.tables import consents, events, users

Bounds: TypeAlias = Callable[[Sql], ColumnElement[bool]]


@dataclass(frozen=True)
class Deeds:
    """Events that count: `rows` holds of `done` and may read the row of `users` whose event it is.

    `bounds`: of how many there are, or of the sum of `number`; None: one is enough.
    """

    done: NamedFromClause
    rows: Sequence[Sql]
    number: Sql | None = None
    bounds: Bounds | None = None


def who_did(deeds: Deeds) -> Select[Any]:
    """Those who did it."""
    if any(map(_reads_the_person, _parts(deeds))):
        found = select(users.c.id.label("id")).select_from(_with_users(deeds.done)).where(*deeds.rows).group_by(users.c.id)
        return _bounded(found, deeds, _amount(deeds.number))
    of_ids = [] if deeds.bounds is None else [_amount(deeds.number).label("amount")]
    by_id = select(deeds.done.c.user_id, *of_ids).where(*deeds.rows).group_by(deeds.done.c.user_id).correlate(None).subquery()
    person, rows = survivors(by_id)
    found = select(person.label("id")).select_from(rows)
    if deeds.bounds is None:
        return found.correlate(None)
    return _bounded(found.group_by(person), deeds, func.coalesce(func.sum(by_id.c.amount), 0))


@dataclass(frozen=True)
class Following:
    """What makes one event follow another: which of the events is the first and which the second, and how long it may take."""

    is_first: Sql
    is_second: Sql
    is_in_time: Callable[[Sql, Sql], Sql]


def who_went_on(deeds: Deeds, following: Following) -> Select[Any]:
    """Those who did the first and then the second. `rows` of the deeds hold of both events."""
    done = deeds.done
    person, rows = (users.c.id, _with_users(done)) if any(map(_reads_the_person, _parts(deeds, following))) else survivors(done)
    number = [] if deeds.number is None else [deeds.number.label("number")]
    flags = (following.is_first.label("is_first"), following.is_second.label("is_second"))
    happened = (
        select(person.label("id"), done.c.occurred_at, *flags, *number).select_from(rows).where(*deeds.rows).correlate(None).subquery()
    )
    # From the latest back, the earliest second one so far is the next; those of the same instant do not follow each other.
    following_at = func.min(case((happened.c.is_second, happened.c.occurred_at))).over(
        partition_by=happened.c.id, order_by=happened.c.occurred_at.desc(), groups=(None, -1)
    )
    followed = select(happened, following_at.label("following_at")).subquery()
    found = select(followed.c.id.label("id")).where(
        followed.c.is_first, following.is_in_time(followed.c.occurred_at, followed.c.following_at)
    )
    return _bounded(found.group_by(followed.c.id), deeds, _amount(None if deeds.number is None else followed.c.number))


def by_last_did(names: Sequence[str], holds: Callable[[Mapping[str, Sql]], Sql], *, is_joined: bool) -> Sql:
    """Say that a person did each of these events, and `holds` is true of when they did last."""
    tables = {name: _last(name) for name in names}
    first, *others = tables.values()
    rows: FromClause = first
    for other in others:
        rows = rows.join(other, other.c.id == first.c.id)
    asked = holds({name: table.c.last_at for name, table in tables.items()})
    if is_joined or _reads_the_person(asked):
        return exists(select(literal(1)).select_from(rows).where(first.c.id == users.c.id, asked).correlate(users))
    return users.c.id.in_(select(first.c.id).select_from(rows).where(asked))


def _last(name: str) -> FromClause:
    event = events.alias()
    rows = (event.c.app == APP, event.c.name == name, event.c.occurred_at <= AT)
    by_id = select(event.c.user_id, func.max(event.c.occurred_at).label("last_at")).where(*rows).group_by(event.c.user_id).subquery()
    person, joined = survivors(by_id)
    return select(person.label("id"), func.max(by_id.c.last_at).label("last_at")).select_from(joined).group_by(person).subquery()


def who_withdrew(channel: str | None, *topics: str) -> Select[Any]:
    """Those whose newest word on these topics, of any channel unless one is named, is that it is over."""
    said = consents.alias()
    rows = [said.c.app == APP, said.c.topic.in_(topics)]
    if channel is not None:
        rows.append(said.c.channel == channel)
    newest_is_no = func.max(said.c.id) == func.max(said.c.id).filter(said.c.state == "withdrawn")
    return select(said.c.user_id.label("id")).where(*rows).group_by(said.c.user_id).having(newest_is_no)


def bucket_of(asked: Sample) -> Sql:
    return bucket(SAMPLE, asked.salt or "")


def bucket(of: str, step: str) -> Sql:
    """`bucket` of storage/migrations (0003), written out: a function that Postgres cannot look into is called a million times."""
    before = select(func.length_prefixed(APP, literal(of, Text), literal(step, Text), type_=BYTEA)).scalar_subquery()
    named = select(func.convert_to(subject(), "UTF8", type_=BYTEA).label("named")).correlate(users).offset(0).subquery()
    length = func.int4send(func.octet_length(named.c.named), type_=BYTEA)
    hash_of = func.sha256(before.concat(length).concat(named.c.named), type_=BYTEA)
    hashed = select(hash_of.label("hash")).correlate(named).offset(0).lateral()
    halves = [cast(cast("x" + func.encode(func.substr(hashed.c.hash, first, 4), "hex"), BIT(32)), BigInteger) for first in (1, 5)]
    return select((halves[0] * (2**32 % BUCKETS) + halves[1]) % BUCKETS).select_from(named.join(hashed, true())).scalar_subquery()


def is_near(asked: Near, latitude: Sql, longitude: Sql, *there: Sql) -> Sql:
    """Two JSON values are near: `distance_km` of storage/migrations (0002) written out, with sines for few.

    In one expression: with a subquery in it Postgres would not read `users` with several processes.
    """
    own = [cast(func.round(cast(each, NUMERIC), 9), Double) for each in (latitude, longitude)]
    halves = [func.power(func.sin(func.radians(other - mine) / 2), 2) for mine, other in zip(own, there, strict=True)]
    flat = halves[0] + func.cos(func.radians(own[0])) * func.cos(func.radians(there[0])) * halves[1]
    near = 2 * _EARTH_KM * func.asin(func.sqrt(func.least(literal(1.0, Double), flat))) <= literal(asked.km, Double)
    around = (("latitude", _latitudes(asked)), ("longitude", _longitudes(asked)))
    box = " && ".join(f"@.{name} >= {least:f} && @.{name} <= {most:f}" for name, (least, most) in around)
    return case((holds_at(users.c.attributes, LOCATION, box), near), else_=false())


def _latitudes(asked: Near) -> tuple[Decimal, Decimal]:
    """Between which everything lies that is near, with something to spare."""
    span = asked.km / _KM_A_DEGREE * 1.001 + 0.001
    return Decimal(str(max(-90.0, asked.latitude - span))), Decimal(str(min(90.0, asked.latitude + span)))


def _longitudes(asked: Near) -> tuple[Decimal, Decimal]:
    """As for latitudes: meridians lie closest where the circle is closest to a pole. All of them near a pole and where the day changes."""
    farthest = max(abs(float(each)) for each in _latitudes(asked))
    span = asked.km / _KM_A_DEGREE / cos(radians(farthest)) * 1.01 + 0.001 if farthest < _POLAR else 360.0
    west, east = asked.longitude - span, asked.longitude + span
    crosses = west < -_HALF or east > _HALF
    return (Decimal(-180), Decimal(180)) if crosses else (Decimal(str(west)), Decimal(str(east)))


_POLAR, _HALF = 80.0, 180.0


_KM_A_DEGREE = 111.19
_EARTH_KM: Sql = literal(6371.0, Double)


def day_of(moment: When, *, days: int) -> Sql:
    """The day in UTC that is so many days after a moment that is the same for everybody, as ISO 8601 writes it; reckoned once."""
    shifted = instant_of(moment, Given(), None) + cast(literal(f"{days} days", Text), INTERVAL)
    kept = func.least(shifted, cast(literal("9999-12-31 00:00:00+00", Text), INSTANT))
    return select(func.to_char(kept.op("AT TIME ZONE")("UTC"), "YYYY-MM-DD", type_=Text)).scalar_subquery()


def is_joined(found: Select[Any]) -> Sql:
    """Say that a person is one of those found, in the form that Postgres joins, also where it is negated."""
    people = found.subquery()
    return exists(select(literal(1)).select_from(people).where(people.c.id == users.c.id).correlate(users))


def _bounded(found: Select[Any], deeds: Deeds, amount: Sql) -> Select[Any]:
    return (found if deeds.bounds is None else found.having(deeds.bounds(amount))).correlate(None)


def _amount(number: Sql | None) -> Sql:
    return func.count() if number is None else func.coalesce(func.sum(number), 0)


def survivors(rows: FromClause) -> tuple[Sql, FromClause]:
    """Who the `user_id` of such rows is now, and the rows with what tells it."""
    joined = users.alias()
    is_joined = and_(joined.c.app == APP, joined.c.merged_into.is_not(None), joined.c.id == rows.c.user_id)
    return func.coalesce(joined.c.merged_into, rows.c.user_id, type_=BigInteger), rows.outerjoin(joined, is_joined)


def _with_users(done: NamedFromClause) -> FromClause:
    """Events with the row of `users` of whoever did them: what a condition reads of the person is read of that row."""
    person, rows = survivors(done)
    return rows.join(users, and_(users.c.app == APP, users.c.id == person))


def _parts(deeds: Deeds, following: Following | None = None) -> Sequence[Sql]:
    flags = () if following is None else (following.is_first, following.is_second)
    return (*deeds.rows, *flags, *(() if deeds.number is None else (deeds.number,)))


def _reads_the_person(clause: Sql) -> bool:
    return any(getattr(part, "table", None) is users for part in visitors.iterate(clause))
