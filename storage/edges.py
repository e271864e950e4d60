"""The next moment at which time alone may change a segment's answer for somebody: as SQL over a row of `users`, or of everybody at once.

journeys/language/edges.py says which kinds of moments there are. The answer may come too early, never too late; NULL is never.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never

from sqlalchemy import Select, Text, case, func, literal, null, select, union_all
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import INTERVAL

from journeys.language.conditions import After, Before, LastDid, MessageWas
from journeys.language.edges import Edge, GoesBy, IsToBeTold, IsToCome, Leaves
from storage import crowds
from storage.expressions import APP, AT, INSTANT, Given, Sql, events_of_user, instant_of, within_years
from storage.tables import events, messages, users

_LATER = sql_cast(literal("1 microsecond", Text), INTERVAL)


@dataclass(frozen=True)
class _Happened:
    """A moment that rows of a table tell: of one person, and of each as rows of `user_id` and `at`."""

    of_one: Sql
    of_each: Select[Any]


def next_change(edges: Iterable[Edge]) -> Sql:
    """The first moment after AT at which one of these edges may be passed."""
    moments = [moment.of_one if isinstance(moment, _Happened) else moment for edge in edges for moment in _moments(edge)]
    return func.least(*moments, type_=INSTANT) if moments else sql_cast(null(), INSTANT)


def next_changes(edges: Iterable[Edge], *among: Sql) -> Select[Any] | None:
    """The same of everybody of whom `among` holds: rows of `user_id` and `due_at` for those to whom something comes. None: to nobody."""
    found = [_of_each(moment, among) for edge in edges for moment in _moments(edge)]
    if not found:
        return None
    moments = union_all(*found).subquery()
    person, rows = crowds.survivors(moments)
    told = select(users.c.id.label("user_id"), func.min(moments.c.at).label("due_at")).select_from(rows.join(users, users.c.id == person))
    return told.where(users.c.app == APP, users.c.merged_into.is_(None), *among, moments.c.at.is_not(None)).group_by(users.c.id)


def _of_each(moment: Sql | _Happened, among: Sequence[Sql]) -> Select[Any]:
    if isinstance(moment, _Happened):
        return moment.of_each
    return select(users.c.id.label("user_id"), moment.label("at")).where(users.c.app == APP, users.c.merged_into.is_(None), *among)


def _moments(edge: Edge) -> Iterator[Sql | _Happened]:
    match edge:
        case Leaves(event, after, only_last=True) | GoesBy(Before(LastDid(event)) | After(LastDid(event)), after):
            yield _of_events(event, lambda at: at <= AT, lambda at: _ahead(_moved(func.max(at), after)))
        case Leaves(event, after):
            yield _of_events(event, lambda at: at >= within_years(AT - _interval(after)), lambda at: _ahead(_moved(func.min(at), after)))
        case GoesBy(asked, after):
            yield _ahead(_moved(instant_of(asked.left, Given(), None), after))
        case IsToCome(event):
            yield _of_events(event, lambda at: at > AT, func.min)
        case IsToBeTold(asked):
            yield _told(asked)
        case _:
            assert_never(edge)


def _ahead(point: Sql) -> Sql:
    """A window is closed at both ends: what lies exactly at its edge changes just after."""
    return case((point >= AT, func.greatest(point, AT + _LATER)))


def _moved(point: Sql, by: timedelta) -> Sql:
    return within_years(point + _interval(by))


def _interval(by: timedelta) -> Sql:
    return sql_cast(literal(f"{round(by.total_seconds())} seconds", Text), INTERVAL)


def _of_events(event: str, which: Callable[[Sql], Sql], moment: Callable[[Sql], Sql]) -> _Happened:
    mine, done = events_of_user(event), events.alias()
    of_one = select(moment(mine.c.occurred_at)).where(which(mine.c.occurred_at))
    of_each = select(done.c.user_id, moment(done.c.occurred_at).label("at")).where(
        done.c.app == APP, done.c.name == event, which(done.c.occurred_at)
    )
    return _Happened(of_one.correlate(users).scalar_subquery(), of_each.group_by(done.c.user_id))


def _told(asked: MessageWas) -> _Happened:
    message = messages.alias()
    at = message.c.settled_at if asked.state == "sent" else message.c[f"{asked.state}_at"]
    rows = (message.c.app == APP, message.c.template == asked.template, at > AT)
    of_one = select(func.min(at)).where(message.c.user_id == users.c.id, *rows)
    of_each = select(message.c.user_id, func.min(at).label("at")).where(*rows).group_by(message.c.user_id)
    return _Happened(of_one.correlate(users).scalar_subquery(), of_each)
