"""The next moment at which time alone may change a segment's answer for somebody, as SQL over a row of `users`.

journeys/language/edges.py says which kinds of moments there are. The answer may come too early, never too late; NULL is never.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import assert_never

from sqlalchemy import Text, case, func, literal, null, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import INTERVAL

from journeys.language.conditions import After, Before, LastDid, MessageWas
from journeys.language.edges import Edge, GoesBy, IsToBeTold, IsToCome, Leaves
from storage.expressions import APP, AT, INSTANT, Given, Sql, instant_of, of_user, within_years
from storage.tables import events, messages, users

_LATER = sql_cast(literal("1 microsecond", Text), INTERVAL)


def next_change(edges: Iterable[Edge]) -> Sql:
    """The first moment after AT at which one of these edges may be passed."""
    moments = [moment for edge in edges for moment in _moments(edge)]
    return func.least(*moments, type_=INSTANT) if moments else sql_cast(null(), INSTANT)


def _moments(edge: Edge) -> Iterator[Sql]:
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


def _of_events(event: str, which: Callable[[Sql], Sql], moment: Callable[[Sql], Sql]) -> Sql:
    done = events.alias()
    rows = select(moment(done.c.occurred_at)).where(*of_user(done), done.c.name == event, which(done.c.occurred_at))
    return rows.correlate(users).scalar_subquery()


def _told(asked: MessageWas) -> Sql:
    message = messages.alias()
    at = message.c.settled_at if asked.state == "sent" else message.c[f"{asked.state}_at"]
    rows = select(func.min(at)).where(message.c.app == APP, message.c.user_id == users.c.id, message.c.template == asked.template, at > AT)
    return rows.correlate(users).scalar_subquery()
