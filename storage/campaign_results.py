"""What a run came to: who was to get which version, and how many of them reached the goal within its window.

The window begins with the send, and for who was sent nothing when that was settled; for who is held out that is the plan. Events count by
when they occurred, however late they came and whether they came as history; a person counts once. Whom a version could not be sent is
counted too: those whom another version reaches, and those who are held out, are people of both kinds.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, case, exists, func, literal, select

from journeys.language.assign import HOLDOUT
from journeys.language.events import Goal
from journeys.language.experiments import Exposed
from storage.conditions import of_events
from storage.database import Connection
from storage.expressions import APP, interval_of, of_user
from storage.tables import events, messages, users

HELD_OUT = "held_out"
APP_HOLDOUT = "app_holdout"


async def exposed(connection: Connection, app: str, run_id: UUID, goal: Goal, *, at: datetime) -> Mapping[str, Exposed]:
    """By the name of each version (and `rest`), how many people were to get it, reached the goal, and were sent it.

    Who was held out stands under `$holdout`; who is held out of the whole app is nowhere.
    """
    rows = await connection.execute(_statement(goal), {"app": app, "source": f"campaign:{run_id}", "at": at})
    return {row.variant: Exposed(row.people, row.converted, row.sent) for row in rows}


def _statement(goal: Goal) -> Select[Any]:
    is_held_out = and_(messages.c.state == "skipped", messages.c.reason == HELD_OUT)
    variant = case((is_held_out, literal(HOLDOUT)), else_=messages.c.step).label("variant")
    is_out_of_all = and_(messages.c.state == "skipped", messages.c.reason == APP_HOLDOUT)
    is_sent = func.bool_or(messages.c.state == "sent").label("is_sent")
    assigned = (
        select(messages.c.user_id, variant, func.min(messages.c.settled_at).label("at"), is_sent)
        .where(messages.c.app == APP, messages.c.source == bindparam("source"), is_out_of_all.is_not(True))
        .group_by(messages.c.user_id, variant)
        .subquery()
    )
    # Who was joined into somebody since does what they do from then on.
    then = users.alias()
    done = events.alias()
    until = assigned.c.at + interval_of(goal.within)
    converted = exists(
        select(literal(1))
        .select_from(done)
        .where(*of_user(done), done.c.occurred_at >= assigned.c.at, done.c.occurred_at <= until, of_events(goal.events, done))
        .correlate(users, assigned)
    )
    who = assigned.join(then, and_(then.c.app == APP, then.c.id == assigned.c.user_id)).join(
        users, and_(users.c.app == APP, users.c.id == func.coalesce(then.c.merged_into, then.c.id))
    )
    return (
        select(
            assigned.c.variant,
            func.count().label("people"),
            func.count().filter(converted).label("converted"),
            func.count().filter(assigned.c.is_sent).label("sent"),
        )
        .select_from(who)
        .group_by(assigned.c.variant)
    )
