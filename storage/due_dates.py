"""When people enter journeys that start on date(...): one row for the next moment of each. journeys/language/dates.py says what that is.

A row is written anew whenever its person changes, and for everybody when a journey is published. Both are done by one process at a time
(`only_one`), behind the change and from what is committed with it, so that a crash anywhere leaves the work to be done again. Who changes
is noted by triggers on `users` (migration 0033), whoever writes there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    FromClause,
    Insert,
    Integer,
    Select,
    Subquery,
    Text,
    any_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    true,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import INTERVAL, insert

from journeys.language.codec import from_json
from journeys.language.conditions import Location, Shifted, Timed, TimeExpression, Trait
from journeys.language.dates import followed_attribute
from journeys.language.entries import DateEntry, WayIn
from storage.database import Connection
from storage.expressions import APP, INSTANT, WALL, Given, Sql, interval_of, json_of, within_years
from storage.tables import due_dates as due
from storage.tables import users

FILLED_AT_ONCE = 5_000
CHANGED_AT_ONCE = 1_000
_ONLY_ONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended('sojourn due dates', 0))")
_JOURNEY: Sql = bindparam("journey", type_=Text)
_ZONE: Sql = func.known_zone(func.coalesce(users.c.timezone, bindparam("zone", type_=Text)), type_=Text)


@dataclass(frozen=True)
class DateJourney:
    """A live journey that starts on date(...), of a version. `zone` is that of people who have none, None where the app has none."""

    app: str
    journey: str
    entry: DateEntry
    known_at: datetime
    filled_to: int
    zone: str | None


@dataclass(frozen=True)
class Reached:
    """Somebody whose moment has come."""

    app: str
    journey: str
    user_id: int
    due_at: datetime


async def only_one(connection: Connection) -> bool:
    """Whether this transaction is the one that may write due dates; it is until it ends."""
    return bool((await connection.execute(_ONLY_ONE)).scalar_one())


# What is live ----------------------------------------------------------------------------------------------------------

_FOLLOW = text("""
    INSERT INTO date_journeys AS d (app, journey, version, attribute) VALUES (:app, :journey, :version, :attribute)
    ON CONFLICT (app, journey) DO UPDATE SET version = EXCLUDED.version, attribute = EXCLUDED.attribute, known_at = EXCLUDED.known_at,
        waits_for = NULL, filled_to = 0, filled_zone = NULL
    WHERE d.version <> EXCLUDED.version
""")
_FORGET = text("DELETE FROM date_journeys WHERE app = :app AND journey = ANY(:journeys)")


async def follow(connection: Connection, app: str, journey: str, version: int, entry: WayIn) -> None:
    """A version of a journey goes live: everybody's moment is read anew, or nobody's any more."""
    attribute = followed_attribute(entry) if isinstance(entry, DateEntry) else None
    if attribute is not None:
        await connection.execute(_FOLLOW, {"app": app, "journey": journey, "version": version, "attribute": attribute})
    else:
        await forget(connection, app, [journey])


async def forget(connection: Connection, app: str, journeys: Sequence[str]) -> None:
    """Nobody enters these on a date any more."""
    await connection.execute(_FORGET, {"app": app, "journeys": list(journeys)})


_LIVE = """
    SELECT d.app, d.journey, v.definition, d.known_at, d.filled_to, a.settings ->> 'timezone' AS zone FROM date_journeys d
    JOIN apps a ON a.id = d.app JOIN journey_versions v ON v.app = d.app AND v.journey = d.journey AND v.version = d.version
"""
_OF_APPS = text(f"{_LIVE} WHERE d.app = ANY(:apps) ORDER BY d.app, d.journey")
_TO_FILL = text(f"""
    {_LIVE} WHERE d.filled_zone IS NULL AND d.waits_for < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY d.known_at LIMIT 1
""")


async def _of_apps(connection: Connection, apps: Sequence[str]) -> list[DateJourney]:
    return [_journey(row) for row in await connection.execute(_OF_APPS, {"apps": sorted(set(apps))})]


def _journey(row: Any) -> DateJourney:
    entry = from_json(row.definition).starts_on
    assert isinstance(entry, DateEntry)
    return DateJourney(row.app, row.journey, entry, row.known_at, row.filled_to, row.zone)


# Everybody -------------------------------------------------------------------------------------------------------------

# A change of somebody may have been written by a transaction that did not see the journey, and may not be committed yet. It had begun
# before this statement's, for the journey is committed when this runs: so the filling waits until no such transaction is left.
_WAIT = text("UPDATE date_journeys SET waits_for = pg_current_xact_id() WHERE waits_for IS NULL")
_OTHER_ZONE = text("""
    UPDATE date_journeys d SET filled_to = 0, filled_zone = NULL, known_at = clock_timestamp() FROM apps a
    WHERE a.id = d.app AND d.filled_zone IS DISTINCT FROM coalesce(a.settings ->> 'timezone', '') AND d.filled_zone IS NOT NULL
""")
_UP_TO = text("""
    SELECT max(id) FROM (SELECT id FROM users WHERE app = :app AND id > :after ORDER BY id LIMIT :most) AS piece
""")
_FILLED_TO = text("UPDATE date_journeys SET filled_to = :upto WHERE app = :app AND journey = :journey")
_FILLED = text("UPDATE date_journeys SET filled_zone = coalesce(:zone, '') WHERE app = :app AND journey = :journey")


async def wait_for_others(connection: Connection) -> None:
    """Let the filling of what was just published wait for everybody who may not have seen it; and fill again where the app moved."""
    await connection.execute(_OTHER_ZONE)
    await connection.execute(_WAIT)


async def fill(connection: Connection, most: int = FILLED_AT_ONCE) -> bool:
    """Write down the moments of the next people of a journey that is not filled; False: every one is, as far as it can be."""
    row = (await connection.execute(_TO_FILL)).first()
    if row is None:
        return False
    asked = _journey(row)
    key = {"app": asked.app, "journey": asked.journey}
    upto = (await connection.execute(_UP_TO, {"app": asked.app, "after": asked.filled_to, "most": most})).scalar()
    if upto is None:
        await connection.execute(_FILLED, {**key, "zone": asked.zone})
        return True
    values = {**key, "zone": asked.zone, "known_at": asked.known_at, "after": asked.filled_to, "upto": upto}
    await connection.execute(_of_everybody(asked.entry), values)
    await connection.execute(_FILLED_TO, {**key, "upto": upto})
    return True


# Who changed -----------------------------------------------------------------------------------------------------------

_CHANGED = text("""
    DELETE FROM changed_people WHERE n = ANY(ARRAY(SELECT n FROM changed_people ORDER BY n LIMIT :most)) RETURNING app, user_id, changed_at
""")


async def read_changed(connection: Connection, most: int = CHANGED_AT_ONCE) -> bool:
    """Read again the moments of some who changed; False: nobody is left."""
    changed: dict[tuple[str, int], datetime] = {}
    for row in await connection.execute(_CHANGED, {"most": most}):
        key = (row.app, row.user_id)
        changed[key] = min(row.changed_at, changed.get(key, row.changed_at))
    for asked in await _of_apps(connection, [app for app, _ in changed]) if changed else ():
        await _read(connection, asked, {user: at for (app, user), at in changed.items() if app == asked.app})
    return bool(changed)


async def _read(connection: Connection, asked: DateJourney, people: dict[int, datetime]) -> None:
    """Their moments after those that are given."""
    values = {"app": asked.app, "journey": asked.journey, "zone": asked.zone}
    await connection.execute(_of_some(asked.entry), {**values, "ids": list(people), "known": list(people.values())})


# Whose moment has come -------------------------------------------------------------------------------------------------

# Who changed and has not been read again may have another moment by now. OFFSET 0 keeps it a look into the index, for each of the few.
_TAKE = text("""
    DELETE FROM due_dates WHERE ctid = ANY(ARRAY(
        SELECT d.ctid FROM due_dates d JOIN date_journeys j ON j.app = d.app AND j.journey = d.journey
        WHERE d.due_at <= clock_timestamp() AND j.filled_zone IS NOT NULL
            AND NOT EXISTS (SELECT FROM changed_people c WHERE c.app = d.app AND c.user_id = d.user_id OFFSET 0)
        ORDER BY d.due_at LIMIT :most FOR UPDATE OF d SKIP LOCKED))
    RETURNING app, journey, user_id, due_at
""")
_CLOCK = text("SELECT clock_timestamp()")


async def take(connection: Connection, most: int) -> tuple[list[Reached], datetime]:
    """Take the oldest moments that have come, and write down the next one of those whose moment comes every year. Also returns the time."""
    reached = [Reached(*row) for row in await connection.execute(_TAKE, {"most": most})]
    for asked in await _of_apps(connection, [each.app for each in reached]) if reached else ():
        people = {each.user_id: each.due_at for each in reached if (each.app, each.journey) == (asked.app, asked.journey)}
        if asked.entry.every is not None and people:
            await _read(connection, asked, people)
    return sorted(reached, key=lambda each: each.due_at), (await connection.execute(_CLOCK)).scalar_one()


# As SQL ----------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _of_everybody(entry: DateEntry) -> Insert:
    """For the people of a piece: what was still to come when the journey was published."""
    piece = users.c.id.between(bindparam("after", type_=BigInteger) + 1, bindparam("upto", type_=BigInteger))
    return _written(_found(entry, sql_cast(bindparam("known_at"), INSTANT), users).where(piece))


@lru_cache(maxsize=256)
def _of_some(entry: DateEntry) -> Insert:
    """For some people: what was still to come at the time that is given with each."""
    ids, known = bindparam("ids", type_=ARRAY(BigInteger)), bindparam("known", type_=ARRAY(INSTANT))
    asked = func.unnest(ids, known).table_valued(Column("id", BigInteger), Column("known_at", INSTANT), name="asked").render_derived()
    return _written(_found(entry, asked.c.known_at, users.join(asked, asked.c.id == users.c.id)))


def _found(entry: DateEntry, known: Sql, source: FromClause) -> Select[Any]:
    """People with their next moment, or NULL. One written down that has come stays, if it is one of theirs: it is not taken yet."""
    moments = _moments(entry, known)
    # Asked for one by one: of a table that is just being filled the planner knows too little to join it well.
    of_one = (due.c.app == APP, due.c.journey == _JOURNEY, due.c.user_id == users.c.id)
    written = select(due.c.due_at).where(*of_one).correlate(users).scalar_subquery()
    next_one = select(func.min(moments.c.at)).where(or_(moments.c.at > known, moments.c.at == written))
    columns = (users.c.id.label("user_id"), next_one.scalar_subquery().label("due_at"))
    return select(*columns).select_from(source).where(users.c.app == APP, users.c.merged_into.is_(None))


@dataclass(frozen=True)
class _Read:
    """What is read of a person, once for all moments: their zone, the time on their wall, and the instant that the text says."""

    zone: Sql
    wall: Sql
    instant: Sql


def _moments(entry: DateEntry, known: Sql) -> Subquery:
    given = select(_json_of(entry.moment).label("value"), _ZONE.label("zone")).correlate(users).offset(0).subquery("given")
    wall = func.wall_of(given.c.value, given.c.zone, type_=WALL)
    if entry.every is None:
        read = _Read(given.c.zone, wall, func.instant_of(given.c.value, given.c.zone, type_=INSTANT))
        return select(_instant(entry.moment, read).label("at")).offset(0).subquery()
    walls = select(given.c.zone, wall.label("wall")).offset(0).subquery("walls")
    first = func.extract("year", func.timezone("UTC", _instant(entry.moment, _years_later(walls, literal(0, Integer)))))
    around = sql_cast(func.extract("year", func.timezone("UTC", known)) - first, Integer)
    series = func.generate_series(func.greatest(around - 2, 0), func.greatest(around + 2, 0))
    years = series.table_valued(Column("n", Integer), name="years").render_derived().lateral()
    found = select(_instant(entry.moment, _years_later(walls, years.c.n)).label("at")).select_from(walls.join(years, true()))
    return found.offset(0).subquery()


def _years_later(walls: Subquery, years: Sql) -> _Read:
    wall = func.wall_within_years(walls.c.wall + func.make_interval(years), type_=WALL)
    return _Read(walls.c.zone, wall, func.wall_to_instant(wall, walls.c.zone, type_=INSTANT))


def _instant(moment: TimeExpression, read: _Read) -> Sql:
    match moment:
        case Shifted(inner, by):
            return within_years(_instant(inner, read) + interval_of(by))
        case Timed():
            return func.wall_to_instant(_wall(moment, read), read.zone, type_=INSTANT)
        case _:
            return read.instant


def _wall(moment: TimeExpression, read: _Read) -> Sql:
    match moment:
        case Timed(inner, clock):
            return sql_cast(func.date_trunc("day", _wall(inner, read)), WALL) + sql_cast(literal(clock, Text), INTERVAL)
        case Shifted(inner, by):
            return func.wall_within_years(_wall(inner, read) + interval_of(by), type_=WALL)
        case _:
            return read.wall


def _json_of(moment: TimeExpression) -> Sql:
    match moment:
        case Shifted(inner, _) | Timed(inner, _):
            return _json_of(inner)
        case _:
            assert isinstance(moment, (Trait, Location))
            return json_of(moment, Given(), None)


def _written(found: Select[Any]) -> Insert:
    """Write moments down, and remove what has none any more, in one statement."""
    theirs = found.cte("found")
    no_more = func.array(select(theirs.c.user_id).where(theirs.c.due_at.is_(None)).scalar_subquery(), type_=ARRAY(BigInteger))
    gone = delete(due).where(due.c.app == APP, due.c.journey == _JOURNEY, due.c.user_id == any_(no_more))
    rows = select(APP, _JOURNEY, theirs.c.user_id, theirs.c.due_at).where(theirs.c.due_at.is_not(None))
    write = insert(due).from_select(["app", "journey", "user_id", "due_at"], rows).add_cte(gone.cte("gone"))
    changed = due.c.due_at.is_distinct_from(write.excluded.due_at)
    return write.on_conflict_do_update(index_elements=["app", "journey", "user_id"], set_={"due_at": write.excluded.due_at}, where=changed)
