"""What being held out of the whole app came to: how many people of either kind did an event within a span of time.

Counted are those who were known by an id of the caller's before the span began, as whom they are now: who came later may have come because
of what others were sent.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Select, bindparam, func, select

from journeys.language.assign import HOLDOUT, AppHoldout, share
from journeys.language.experiments import Exposed
from storage.crowds import bucket, survivors
from storage.database import Connection
from storage.expressions import APP, INSTANT
from storage.segment_people import LONGEST_S, within
from storage.tables import events, users


async def exposed(
    connection: Connection, app: str, holdout: AppHoldout, event: str, *, since: datetime, until: datetime
) -> Mapping[bool, Exposed]:
    """By whether they are held out, how many people there are and how many of them did the event. Raises TooSlow."""
    given = {"app": app, "event": event, "since": since, "until": until}
    async with within(connection, LONGEST_S):
        rows = (await connection.execute(_statement(holdout), given)).all()
    found = {row.is_held_out: Exposed(row.people, row.converted, 0) for row in rows}
    return {is_held_out: found.get(is_held_out, Exposed(0, 0, 0)) for is_held_out in (True, False)}


def _statement(holdout: AppHoldout) -> Select[bool, int, int]:
    since, until = bindparam("since", type_=INSTANT), bindparam("until", type_=INSTANT)
    done = events.alias()
    rows = (done.c.app == APP, done.c.name == bindparam("event"), done.c.occurred_at >= since, done.c.occurred_at < until)
    by_id = select(done.c.user_id).where(*rows).group_by(done.c.user_id).subquery()
    person, joined = survivors(by_id)
    did = select(person.label("id")).distinct().select_from(joined).subquery()
    is_held_out = (bucket(HOLDOUT, holdout.salt) < share(holdout.percent)).label("is_held_out")
    known = (
        select(users.c.id, is_held_out)
        .where(users.c.app == APP, users.c.merged_into.is_(None), users.c.user_id.is_not(None), users.c.created_at < since)
        .subquery()
    )
    return (
        select(known.c.is_held_out, func.count().label("people"), func.count(did.c.id).label("converted"))
        .select_from(known.outerjoin(did, did.c.id == known.c.id))
        .group_by(known.c.is_held_out)
    )
