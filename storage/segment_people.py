"""Who is in a segment, as of a moment: how many, some of them, all of them page by page, and by which part of the condition.

Anonymous people count too; who was joined into another person is that person. Each question has a bound of time, and says so when it is
reached: `TooSlow`.
"""

import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ClauseElement, Executable, Select, Text, and_, any_, bindparam, func, literal, select, text
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles

from journeys.language.conditions import And, AnyCondition, InSegment, Not, Or, Statement
from journeys.language.errors import Refused
from journeys.language.walk import nodes_in
from storage.conditions import NO_ENROLLMENT, of_segment
from storage.database import Connection, sqlstate
from storage.expressions import APP, Sql
from storage.segments import Definition
from storage.tables import listed_people, schedule_people, users

QUICK_S = 2.0
LONGEST_S = 25.0
_LONGEST_GATHER_S = 240.0
"""Below the 30 s that every connection gives a statement."""
MOST_MEMORY = "64MB"
LOOKED_AT = 5000
_SURE = 1.96
_CANCELED = "57014"
SQL_TABLES = ("users", "identities", "events", "endpoints", "consents", "messages", "enrollments")
"""What the SQL of a segment may read (migration 0022)."""

Segments = Mapping[str, Definition]


class TooSlow(Refused):
    """Who is in the segment was not known within the time: ask less of everybody, or freeze it. `sojourn segment explain` shows why."""

    def __init__(self) -> None:
        super().__init__(f"this took longer than {LONGEST_S:g} seconds: `sojourn segment explain` shows what is read")


class SqlFailed(Refused):
    """The SQL of a segment cannot be run, or gives what is no user id of this app."""


@dataclass(frozen=True)
class SomePerson:
    """Somebody who is in the segment; `user_id` is the caller's, None while they are anonymous."""

    id: int
    user_id: str | None


@dataclass(frozen=True)
class Size:
    """How many people. Of an estimate, 95 of 100 times the truth is within `margin`."""

    people: int
    is_exact: bool = True
    margin: int = 0


@dataclass(frozen=True)
class Explanation:
    """A part of a condition, whether it holds of somebody, and its own parts. `segment`: it is what that segment means."""

    condition: AnyCondition
    holds: bool
    parts: Sequence["Explanation"]
    segment: str | None = None


@dataclass(frozen=True)
class Asked:
    """A condition with the definitions that it comes to, as of a moment. `drawn`: what else must hold of them (campaign_draws.py)."""

    app: str
    condition: AnyCondition
    segments: Segments
    at: datetime
    drawn: Sql | None = None

    @property
    def values(self) -> dict[str, Any]:
        return {"app": self.app, "at": self.at, **NO_ENROLLMENT}

    @property
    def clause(self) -> Sql:
        """What holds of those who are in, to be asked of everybody."""
        return self._and_drawn(of_segment(self.condition, _in_order(self.segments)))

    @property
    def clause_of_few(self) -> Sql:
        """The same, to be asked of some thousand people at most."""
        return self._and_drawn(of_segment(self.condition, _in_order(self.segments), of_everybody=False))

    def _and_drawn(self, condition: Sql) -> Sql:
        return condition if self.drawn is None else and_(condition, self.drawn)


def _in_order(segments: Segments) -> tuple[tuple[str, Definition], ...]:
    return tuple(sorted(segments.items(), key=itemgetter(0)))


def _people() -> Select[Any]:
    return select(users.c.id, users.c.user_id).where(users.c.app == APP, users.c.merged_into.is_(None))


async def look(connection: Connection, asked: Asked, *, most: int, exactly: bool | None = None) -> tuple[Size, list[SomePerson]]:
    """How many people, and some of them, drawn at random and always the same ones.

    `exactly` None: an estimate where counting takes more than QUICK_S. Raises TooSlow.
    """
    if exactly is not False:
        try:
            return await _counted(connection, asked, most, LONGEST_S if exactly else QUICK_S)
        except TooSlow:
            if exactly:
                raise
    return await _estimated(connection, asked, most)


async def _counted(connection: Connection, asked: Asked, most: int, longest_s: float) -> tuple[Size, list[SomePerson]]:
    if most == 0:
        return Size(await _count(connection, asked, longest_s)), []
    drawn = func.hashint8extended(users.c.id, 0)
    statement = (
        _people().add_columns(func.count().over().label("people")).where(asked.clause).order_by(drawn, users.c.id).limit(max(most, 1))
    )
    async with within(connection, longest_s):
        rows = (await connection.execute(statement, asked.values)).all()
    return Size(rows[0].people if rows else 0), [SomePerson(row.id, row.user_id) for row in rows[:most]]


async def _count(connection: Connection, asked: Asked, longest_s: float) -> int:
    statement = select(func.count()).select_from(_people().where(asked.clause).subquery())
    async with within(connection, longest_s):
        return int((await connection.execute(statement, asked.values)).scalar_one())


_EVERYBODY = text("SELECT count(*) FROM users WHERE app = :app AND merged_into IS NULL")
_DRAWN = text("SELECT id FROM users TABLESAMPLE BERNOULLI (:percent) REPEATABLE (1) WHERE app = :app AND merged_into IS NULL")


async def _estimated(connection: Connection, asked: Asked, most: int) -> tuple[Size, list[SomePerson]]:
    """By asking LOOKED_AT people or so, which are always the same while nobody comes or goes."""
    async with within(connection, LONGEST_S):
        people = await everybody(connection, asked.app)
        percent = min(100.0, 100 * LOOKED_AT / max(people, 1))
        drawn = list((await connection.execute(_DRAWN, {"app": asked.app, "percent": percent})).scalars())
        among = users.c.id == func.any(bindparam("drawn", type_=ARRAY(BigInteger)))
        rows = (await connection.execute(_people().where(among, asked.clause_of_few), {**asked.values, "drawn": drawn})).all()
    if len(drawn) >= people:
        return Size(len(rows)), [SomePerson(row.id, row.user_id) for row in rows[:most]]
    return _projected(len(rows), len(drawn), people), [SomePerson(row.id, row.user_id) for row in rows[:most]]


def _projected(found: int, looked_at: int, everybody: int) -> Size:
    """Agresti and Coull's interval: it stays wide where nobody, or everybody, of those looked at is in."""
    share = (found + 2) / (looked_at + 4)
    margin = _SURE * math.sqrt(share * (1 - share) / (looked_at + 4))
    return Size(round(everybody * found / max(looked_at, 1)), is_exact=False, margin=math.ceil(everybody * margin))


@dataclass(frozen=True)
class Among:
    """Some people looked at: how many they were, the last one's id, and the ids of those who are in, in their order."""

    looked_at: int
    last: int
    people: Sequence[int]


async def among_next(connection: Connection, asked: Asked, *, after: int, most: int) -> Among:
    """Who of the next people behind the id `after` is in; only they are looked at. Raises TooSlow."""
    looked_at, last = await next_people(connection, asked.app, after=after, most=most)
    if not looked_at:
        return Among(0, after, ())
    those = _people().where(users.c.id > after, users.c.id <= last, asked.clause_of_few).order_by(users.c.id)
    async with within(connection, LONGEST_S):
        return Among(looked_at, last, [row.id for row in await connection.execute(those, asked.values)])


async def who_is_in(connection: Connection, asked: Asked, people: Sequence[int]) -> frozenset[int]:
    """Which of these few people are in, by their internal ids. Raises TooSlow."""
    among = users.c.id == func.any(bindparam("people", type_=ARRAY(BigInteger)))
    statement = select(users.c.id).where(users.c.app == APP, users.c.merged_into.is_(None), among, asked.clause_of_few)
    async with within(connection, LONGEST_S):
        return frozenset((await connection.execute(statement, {**asked.values, "people": list(people)})).scalars())


async def page(connection: Connection, asked: Asked, *, after: int | None, most: int) -> list[SomePerson]:
    """People of the segment in the order of their internal ids, behind `after`. Raises TooSlow."""
    statement = _people().where(asked.clause, users.c.id > (after or 0)).order_by(users.c.id).limit(most)
    async with within(connection, LONGEST_S):
        return [SomePerson(row.id, row.user_id) for row in await connection.execute(statement, asked.values)]


async def freeze(connection: Connection, asked: Asked, name: str, *, longest_s: float = LONGEST_S) -> int:
    """Put everybody who is in on the list of a static segment, and return how many they are. Raises TooSlow."""
    async with within(connection, longest_s):
        return (await connection.execute(_put_on_list(name, _people().where(asked.clause)), asked.values)).rowcount


@dataclass(frozen=True)
class Frozen:
    """One piece of a freezing: how many people were looked at, the last one's id, and how many of them were put on the list."""

    looked_at: int
    last: int
    listed: int


_NEXT = text("""
    SELECT count(*) AS people, max(id) AS last FROM (
        SELECT id FROM users WHERE app = :app AND merged_into IS NULL AND id > :after ORDER BY id LIMIT :most) AS next
""")


async def freeze_next(connection: Connection, asked: Asked, name: str, *, after: int, most: int) -> Frozen:
    """Put those of the next people behind the id `after` on the list who are in. Raises TooSlow."""
    people, last = await next_people(connection, asked.app, after=after, most=most)
    if not people:
        return Frozen(0, after, 0)
    those = _people().where(users.c.id > after, users.c.id <= last, asked.clause_of_few)
    async with within(connection, LONGEST_S):
        return Frozen(people, last, (await connection.execute(_put_on_list(name, those), asked.values)).rowcount)


async def next_people(connection: Connection, app: str, *, after: int, most: int) -> tuple[int, int]:
    """How many people come behind an internal id, `most` at most, and the last one's id."""
    some = (await connection.execute(_NEXT, {"app": app, "after": after, "most": most})).one()
    return some.people, after if some.last is None else some.last


def _put_on_list(name: str, people: Select[Any]) -> Insert:
    found = people.subquery()
    rows = select(APP, literal(name, Text), found.c.id)
    return insert(listed_people).from_select(["app", "segment", "user_id"], rows).on_conflict_do_nothing()


async def everybody(connection: Connection, app: str) -> int:
    """How many people there are."""
    return int((await connection.execute(_EVERYBODY, {"app": app})).scalar_one())


async def gather(connection: Connection, asked: Asked, run: int, zones: Sequence[str], zone: str | None) -> int:
    """Write down everybody who is in for a run of a schedule, and return how many they are. Raises TooSlow or SqlFailed.

    For a million people it takes minutes: call it on a Database whose statements may. With `zones` only who is in one of them; `zone` is
    that of people who have none.
    """
    theirs = func.known_zone(func.coalesce(users.c.timezone, bindparam("zone", type_=Text)), type_=Text)
    there = theirs == any_(bindparam("zones", type_=ARRAY(Text)))
    found = _people().where(asked.clause, *([there] if zones else [])).subquery()
    statement = insert(schedule_people).from_select(["app", "run", "user_id"], select(APP, literal(run, BigInteger), found.c.id))
    where = {"zones": list(zones), "zone": zone} if zones else {}
    async with within(connection, _LONGEST_GATHER_S):
        return (await connection.execute(statement, {**asked.values, **where})).rowcount


async def explain(connection: Connection, asked: Asked, user_id: int) -> Explanation:
    """Whether one person is in, and what each part of the condition says of them. Raises TooSlow."""
    clauses = [
        of_segment(condition, _in_order(segments), of_everybody=False) for condition, segments, _ in _walk(asked.condition, asked.segments)
    ]
    statement = select(*(clause.label(f"part_{place}") for place, clause in enumerate(clauses))).select_from(users)
    who = (users.c.app == APP, users.c.id == bindparam("who", type_=BigInteger))
    async with within(connection, LONGEST_S):
        row = (await connection.execute(statement.where(*who), {**asked.values, "who": user_id})).one()
    return _tree(asked.condition, asked.segments, iter(row), None)


def _walk(condition: AnyCondition, segments: Segments) -> Iterator[tuple[AnyCondition, Segments, str | None]]:
    """The condition and all its parts, in the order of `_tree`."""
    yield condition, segments, None
    for part, named, _ in _parts(condition, segments):
        yield from _walk(part, named)


def _tree(condition: AnyCondition, segments: Segments, answers: Iterator[Any], segment: str | None) -> Explanation:
    holds = bool(next(answers))
    parts = [_tree(part, named, answers, name) for part, named, name in _parts(condition, segments)]
    return Explanation(condition, holds, parts, segment)


def _parts(condition: AnyCondition, segments: Segments) -> Sequence[tuple[AnyCondition, Segments, str | None]]:
    match condition:
        case And(parts) | Or(parts):
            return [(part, segments, None) for part in parts]
        case Not(part):
            return [(part, segments, None)]
        case InSegment(name):
            definition = segments.get(name, "listed")
            others = {each: found for each, found in segments.items() if each != name}
            return [] if isinstance(definition, str) else [(definition, others, name)]
        case _:
            return []


class _Explain(Executable, ClauseElement):
    """EXPLAIN of a statement with its parameters."""

    inherit_cache = False

    def __init__(self, statement: Select[Any], form: str) -> None:
        self.statement, self.form = statement, form


@compiles(_Explain)
def _explain_in_sql(element: _Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT {element.form}) {compiler.process(element.statement, **options)}"


@dataclass(frozen=True)
class HowItIsRead:
    """What Postgres would do to find everybody: its plan as it writes it, and its estimates of who is found and of what is read for it.

    `read_whole`: large tables that are read from end to end, with their rows, but for `users`; `read_events`: how many events are read.
    """

    lines: Sequence[str]
    estimated_people: int
    read_whole: Mapping[str, int]
    read_events: int


MANY_ROWS = 100_000
_MONTH = re.compile(r"_(\d{6}|other)$")


async def how_it_is_read(connection: Connection, asked: Asked) -> HowItIsRead:
    """Ask Postgres how it would find everybody. Nothing is read."""
    statement = _people().where(asked.clause)
    async with within(connection, LONGEST_S):
        lines = (await connection.execute(_Explain(statement, "TEXT"), asked.values)).scalars().all()
        [plan] = (await connection.execute(_Explain(statement, "JSON"), asked.values)).scalar_one()
    whole, events = Counter[str](), 0
    for each in _nodes(plan["Plan"]):
        table = _MONTH.sub("", each.get("Relation Name", ""))
        rows = each["Plan Rows"] * (1 + each.get("Workers Planned", 0))
        if each["Node Type"] == "Seq Scan":
            whole[table] += rows
        if table == "events":
            events += rows
    del whole["users"]
    return HowItIsRead(lines, plan["Plan"]["Plan Rows"], {table: rows for table, rows in whole.items() if rows >= MANY_ROWS}, events)


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


_BOUNDS = text("""
    SELECT set_config('statement_timeout', :ms, true), set_config('work_mem', :memory, true),
        set_config('plan_cache_mode', 'force_custom_plan', true)
""")


@asynccontextmanager
async def within(connection: Connection, seconds: float) -> AsyncIterator[None]:
    """Bound what is asked inside in time and memory, so that the transaction goes on after it. Raises TooSlow."""
    try:
        async with connection.begin_nested():
            await connection.execute(_BOUNDS, {"ms": str(round(seconds * 1000)), "memory": MOST_MEMORY})
            yield
    except DBAPIError as error:
        if sqlstate(error) == _CANCELED:
            raise TooSlow from error
        if words := _of_sql(error):
            raise SqlFailed(f"the SQL of this segment: {words}") from error
        raise


async def try_sql(connection: Connection, app: str, condition: AnyCondition) -> None:
    """Run every SQL of a condition once. Raises SqlFailed and TooSlow."""
    for each in nodes_in(condition):
        if isinstance(each, Statement):
            async with within(connection, LONGEST_S):
                await connection.execute(_TRY, {"app": app, "statement": each.sql})


_TRY = text("SELECT count(*) FROM segment_sql(:app, :statement)")


def _of_sql(error: DBAPIError) -> str | None:
    """What the SQL of a segment did wrong, in words; None: it was something else. What stands in rows is not repeated."""
    state, told = sqlstate(error), str(error.orig).rpartition(">: ")[2]
    if state == "42883" and "textcat" in told:
        return "it must give texts: select users.user_id; in other tables user_id is an internal number"
    if words := _OF_STATE.get(state) or _OF_CLASS.get(state[:2]):
        return words
    return f"Postgres does not understand it: {told}" if state.startswith("42") else None


_OF_STATE = {
    "SJ001": "it gives what is no user id of this app: select users.user_id",
    "42501": f"it reads what it may not: it may read {', '.join(SQL_TABLES)}",
}
_OF_CLASS = {
    "0A": "it would change something: it may only read",
    "22": "it fails on some row: cast and compare only what is of the right type",
}
