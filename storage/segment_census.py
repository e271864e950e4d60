"""Who is in a newly followed segment, of many people at once: the members and the due times from which changes go on one by one."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import BigInteger, Text, bindparam, delete, func, literal, select, text
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import Delete

from journeys.language.conditions import InSegment
from journeys.language.edges import edges
from storage.conditions import NO_ENROLLMENT, of_segment
from storage.database import Connection, is_deadlock, is_transient
from storage.edges import next_changes
from storage.expressions import APP, AT
from storage.segment_members import ReadingFailed
from storage.segment_people import LONGEST_S, SqlFailed, TooSlow, within
from storage.segments import Definition
from storage.tables import segment_due, segment_members, users


class Counted(NamedTuple):
    """How many came in and went out by it: of a segment that came to another definition some were in."""

    entered: int
    gone: int


_AMONG = (users.c.id > bindparam("after", type_=BigInteger), users.c.id <= bindparam("last", type_=BigInteger))


async def take(
    connection: Connection, app: str, segment: str, meant: Mapping[str, Definition], *, after: int, last: int, at: datetime
) -> Counted:
    """Write who of the people behind `after`, to `last`, is in. The caller holds the segment's row. Raises ReadingFailed.

    Nobody is told of it. What changes meanwhile leaves a note, which is read after this.
    """
    entering, leaving, due = _statements(segment, tuple(sorted(meant.items(), key=itemgetter(0))))
    given = {"app": app, "at": at, "after": after, "last": last, **NO_ENROLLMENT}
    try:
        async with within(connection, LONGEST_S):
            # First who goes out: of a segment that was not followed before nobody is in, and everybody is looked at once only.
            gone = (await connection.execute(leaving, given)).rowcount
            entered = (await connection.execute(entering, given)).rowcount
            if due is not None:
                await connection.execute(due, given)
            return Counted(entered, gone)
    except (TooSlow, SqlFailed) as refused:
        raise ReadingFailed(segment) from refused
    except DBAPIError as error:
        if is_transient(error) or is_deadlock(error):
            raise
        raise ReadingFailed(segment) from error


_ANALYZE = text("ANALYZE segment_members, segment_due")


async def tell_the_planner(connection: Connection) -> None:
    """After a census: statistics that know nothing of its rows would have each reading of a few people go through all members."""
    await connection.execute(_ANALYZE)


_LATER = text("""
    INSERT INTO segment_changes (app, user_id, segment, is_history, noted_at)
    SELECT :app, id, :segment, true, clock_timestamp() + interval '1 minute' FROM users
    WHERE app = :app AND merged_into IS NULL AND id > :after AND id <= :last
""")


async def take_later(connection: Connection, app: str, segment: str, *, after: int, last: int) -> None:
    """Let these people be read one by one in a minute; nobody is told of them."""
    await connection.execute(_LATER, {"app": app, "segment": segment, "after": after, "last": last})


@lru_cache(maxsize=64)
def _statements(segment: str, meant: tuple[tuple[str, Definition], ...]) -> tuple[Insert, Delete, Insert | None]:
    inside = select(users.c.id).where(users.c.app == APP, users.c.merged_into.is_(None), *_AMONG, of_segment(InSegment(segment), meant))
    found = inside.subquery()
    entering = insert(segment_members).from_select(
        ["app", "segment", "user_id", "since"], select(APP, literal(segment, Text), found.c.id, AT)
    )
    members = segment_members.c
    leaving = delete(segment_members).where(
        members.app == APP,
        members.segment == segment,
        members.user_id > bindparam("after", type_=BigInteger),
        members.user_id <= bindparam("last", type_=BigInteger),
        members.user_id.not_in(inside),
    )
    return entering.on_conflict_do_nothing(), leaving, _due(segment, meant)


def _due(segment: str, meant: tuple[tuple[str, Definition], ...]) -> Insert | None:
    changes = next_changes(edges([each for _, each in meant if not isinstance(each, str)]), *_AMONG)
    if changes is None:
        return None
    found = changes.subquery()
    rows = select(APP, literal(segment, Text), found.c.user_id, found.c.due_at)
    adding = insert(segment_due).from_select(["app", "segment", "user_id", "due_at"], rows)
    sooner = func.least(segment_due.c.due_at, adding.excluded.due_at)
    return adding.on_conflict_do_update(index_elements=["app", "segment", "user_id"], set_={"due_at": sooner})
