"""What a run came to: who got which version, and how many of them reached the goal within its window from the send.

Events count by when they occurred, however late they came and whether they came as history; a person counts once.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, case, exists, func, literal, or_, select

from journeys.language.assign import HOLDOUT
from journeys.language.events import Goal
from journeys.language.experiments import Exposed
from storage.conditions import of_events
from storage.database import Connection
from storage.expressions import APP, interval_of, of_user
from storage.tables import events, messages, users

HELD_OUT = "held_out"


async def exposed(connection: Connection, app: str, run_id: UUID, goal: Goal, *, at: datetime) -> Mapping[str, Exposed]:
    """By the name of each version (and `rest`), how many people got it and how many reached the goal; who was held out under `$holdout`."""
    rows = await connection.execute(_statement(goal), {"app": app, "source": f"campaign:{run_id}", "at": at})
    return {row.variant: Exposed(row.people, row.converted) for row in rows}


def _statement(goal: Goal) -> Select[Any]:
    is_held_out = and_(messages.c.state == "skipped", messages.c.reason == HELD_OUT)
    variant = case((is_held_out, literal(HOLDOUT)), else_=messages.c.step).label("variant")
    reached = (
        select(messages.c.user_id, variant, func.min(messages.c.settled_at).label("at"))
        .where(messages.c.app == APP, messages.c.source == bindparam("source"), or_(messages.c.state == "sent", is_held_out))
        .group_by(messages.c.user_id, variant)
        .subquery()
    )
    # Who was joined into somebody since does what they do from then on.
    then = users.alias()
    done = events.alias()
    until = reached.c.at + interval_of(goal.within)
    converted = exists(
        select(literal(1))
        .select_from(done)
        .where(*of_user(done), done.c.occurred_at >= reached.c.at, done.c.occurred_at <= until, of_events(goal.events, done))
        .correlate(users, reached)
    )
    who = reached.join(then, and_(then.c.app == APP, then.c.id == reached.c.user_id)).join(
        users, and_(users.c.app == APP, users.c.id == func.coalesce(then.c.merged_into, then.c.id))
    )
    return (
        select(reached.c.variant, func.count().label("people"), func.count().filter(converted).label("converted"))
        .select_from(who)
        .group_by(reached.c.variant)
    )
