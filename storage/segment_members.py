"""Who is in the followed segments, kept up to date: notes of what may have changed it, the moments at which time may, and the readings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, Select, bindparam, false, func, select, text, true
from sqlalchemy.exc import DBAPIError

from journeys.language.conditions import InSegment
from journeys.language.edges import edges
from storage.conditions import NO_ENROLLMENT, of_segment
from storage.database import Connection, is_deadlock, is_transient
from storage.edges import next_change
from storage.expressions import APP
from storage.segments import Definition
from storage.tables import segment_due, segment_members, users


class Note(NamedTuple):
    """Somebody is to be read again, in one segment or (None) in all that are followed. `is_history`: what comes of it is not told."""

    app: str
    user_id: int
    segment: str | None
    is_history: bool
    waited_s: float


class Answer(NamedTuple):
    """What a segment says of one person, and when time alone may change it; `was_in` and `was_due_at` were written of them before."""

    user_id: int
    is_in: bool
    was_in: bool
    due_at: datetime | None
    was_due_at: datetime | None

    @property
    def moves(self) -> bool:
        return self.is_in != self.was_in

    @property
    def is_news(self) -> bool:
        return self.moves or self.due_at != self.was_due_at


@dataclass(frozen=True)
class Moved:
    """Somebody came in, or went out."""

    user_id: int
    segment: str
    is_in: bool


_WAITING = text("SELECT count(*) FROM (SELECT FROM segment_changes WHERE user_id IS NOT NULL LIMIT :most) AS waiting")
# As an IN (...), what is locked may be asked for again and again, and come to more than :most.
_DUE = text("""
    WITH chosen AS MATERIALIZED (
        SELECT app, segment, user_id FROM segment_due WHERE due_at <= :now ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
    ), due AS (
        DELETE FROM segment_due d USING chosen c WHERE d.app = c.app AND d.segment = c.segment AND d.user_id = c.user_id
        RETURNING d.app, d.segment, d.user_id
    )
    INSERT INTO segment_changes (app, user_id, segment) SELECT app, user_id, segment FROM due
""")
_TAKE = text("""
    WITH chosen AS MATERIALIZED (
        SELECT seq FROM segment_changes WHERE user_id IS NOT NULL AND noted_at <= clock_timestamp()
        ORDER BY is_history, seq LIMIT :most FOR UPDATE SKIP LOCKED
    )
    DELETE FROM segment_changes n USING chosen c WHERE n.seq = c.seq
    RETURNING n.app, n.user_id, n.segment, n.is_history, CAST(extract(epoch FROM clock_timestamp() - n.noted_at) AS double precision)
""")


async def note_due(connection: Connection, now: datetime, most: int) -> int:
    """Note those for whom time may have changed something by now; how many they were."""
    return (await connection.execute(_DUE, {"now": now, "most": most})).rowcount


async def waiting(connection: Connection, most: int) -> int:
    """How many notes there are, `most` at most."""
    return int((await connection.execute(_WAITING, {"most": most})).scalar_one())


_PUT_OFF = text("""
    INSERT INTO segment_changes (app, user_id, segment, is_history, noted_at)
    SELECT :app, n.user_id, :segment, n.is_history, clock_timestamp() + interval '2 seconds'
    FROM unnest(CAST(:ids AS bigint[]), CAST(:are_history AS boolean[])) AS n (user_id, is_history)
""")


async def put_off(connection: Connection, app: str, segment: str, notes: Sequence[Note]) -> None:
    """Let these be met again in two seconds, in this segment alone: somebody else is at it."""
    given = {"ids": [each.user_id for each in notes], "are_history": [each.is_history for each in notes]}
    await connection.execute(_PUT_OFF, {"app": app, "segment": segment, **given})


async def take(connection: Connection, most: int) -> Sequence[Note]:
    """Take the oldest notes, of every app, those of history last. They are gone when the transaction commits, and there if it does not."""
    return [Note(*row) for row in await connection.execute(_TAKE, {"most": most})]


# The people who go stand in arrays: joined with the rows, all members of the segment would be read for each of them.
_WRITE = text("""
    WITH read AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:is_in AS boolean[]), CAST(:due AS timestamptz[])) AS r (user_id, is_in, due_at)
    ), entered AS (
        INSERT INTO segment_members (app, segment, user_id, since) SELECT :app, :segment, user_id, :at FROM read WHERE is_in
        ON CONFLICT DO NOTHING RETURNING user_id
    ), gone AS (
        DELETE FROM segment_members WHERE app = :app AND segment = :segment AND user_id = ANY (CAST(:out AS bigint[])) RETURNING user_id
    ), due AS (
        INSERT INTO segment_due AS d (app, segment, user_id, due_at)
        SELECT :app, :segment, user_id, due_at FROM read WHERE due_at IS NOT NULL
        ON CONFLICT (app, segment, user_id) DO UPDATE SET due_at = EXCLUDED.due_at WHERE d.due_at <> EXCLUDED.due_at
    ), never AS (
        DELETE FROM segment_due WHERE app = :app AND segment = :segment AND user_id = ANY (CAST(:never AS bigint[]))
    )
    SELECT user_id, true AS is_in FROM entered UNION ALL SELECT user_id, false FROM gone
""")
_LATER = text("""
    INSERT INTO segment_due AS d (app, segment, user_id, due_at)
    SELECT :app, :segment, u.id, clock_timestamp() + interval '1 minute' FROM unnest(CAST(:ids AS bigint[])) AS u (id)
    ON CONFLICT (app, segment, user_id) DO UPDATE SET due_at = EXCLUDED.due_at
""")


async def read(
    connection: Connection, app: str, segment: str, meant: Mapping[str, Definition], ids: Iterable[int], at: datetime
) -> Sequence[Answer]:
    """Read one segment for some people (internal ids of survivors), in one statement and without a lock of theirs. Raises ReadingFailed.

    Nobody else may read it meanwhile: `segment_follows` holds its row. What changes after this has a note, which comes after this.
    """
    asked = {"app": app, "at": at, **NO_ENROLLMENT, "among": sorted(set(ids))}
    try:
        async with connection.begin_nested():
            rows = await connection.execute(_question(segment, tuple(sorted(meant.items(), key=itemgetter(0)))), asked)
            return [Answer(*row) for row in rows]
    except DBAPIError as error:
        if is_transient(error) or is_deadlock(error):
            raise
        raise ReadingFailed(segment) from error


async def write(connection: Connection, app: str, segment: str, answers: Sequence[Answer], at: datetime) -> Sequence[Moved]:
    """Write what was read, and return who came in or went out by it. Who moves is locked, or nobody is to be told of it."""
    answers = [each for each in answers if each.is_news]
    if not answers:
        return []
    found = {
        "app": app,
        "segment": segment,
        "at": at,
        "ids": [each.user_id for each in answers],
        "is_in": [each.is_in for each in answers],
        "due": [each.due_at for each in answers],
        "out": [each.user_id for each in answers if not each.is_in],
        "never": [each.user_id for each in answers if each.due_at is None],
    }
    return [Moved(row.user_id, segment, row.is_in) for row in await connection.execute(_WRITE, found)]


_FORGET_MEMBERS = text("DELETE FROM segment_members WHERE app = :app AND user_id = ANY (CAST(:ids AS bigint[]))")
_FORGET_DUE = text("DELETE FROM segment_due WHERE app = :app AND user_id = ANY (CAST(:ids AS bigint[]))")


async def forget(connection: Connection, app: str, ids: Iterable[int]) -> None:
    """Forget those who turned out to be somebody else: a reading that was under way may have written them once more."""
    gone = {"app": app, "ids": sorted(set(ids))}
    await connection.execute(_FORGET_MEMBERS, gone)
    await connection.execute(_FORGET_DUE, gone)


class ReadingFailed(Exception):
    """Postgres could not read this segment; `read_later` notes it."""


async def read_later(connection: Connection, app: str, segment: str, ids: Iterable[int]) -> None:
    """Read these people in a minute."""
    await connection.execute(_LATER, {"app": app, "segment": segment, "ids": sorted(set(ids))})


@lru_cache(maxsize=512)
def _question(segment: str, meant: tuple[tuple[str, Definition], ...]) -> Select[Any]:
    conditions = [each for _, each in meant if not isinstance(each, str)]
    among = users.c.id == func.any(bindparam("among", type_=ARRAY(BigInteger)))
    answer = of_segment(InSegment(segment), meant, of_everybody=False).label("is_in")
    written = (segment_members.c.app == APP, segment_members.c.segment == segment, segment_members.c.user_id == users.c.id)
    # No EXISTS: while Postgres has not counted the members it would read all of them for a few people.
    was_in = func.coalesce(select(true()).select_from(segment_members).where(*written).correlate(users).scalar_subquery(), false())
    noted = (segment_due.c.app == APP, segment_due.c.segment == segment, segment_due.c.user_id == users.c.id)
    was_due = select(segment_due.c.due_at).where(*noted).correlate(users).scalar_subquery()
    rows = select(users.c.id, answer, was_in.label("was_in"), next_change(edges(conditions)).label("due_at"), was_due.label("was_due_at"))
    return rows.where(users.c.app == APP, among, users.c.merged_into.is_(None))
