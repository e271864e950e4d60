"""Writes a move to another version down: the row's version, in the same transaction as the story, before the workflow goes on with it."""

from collections.abc import Callable
from typing import Any

from temporalio import activity

from activities.move_orders import MoveGranted, MoveWanted
from journeys.language.handing import handed_over, since_when
from storage import enrollments, interventions, messages, standing
from storage.database import Connection, Database
from storage.enrollments import Enrollment

# More than anybody has of the names that a journey listens to; it only bounds memory.
MOST_SINCE_ENTRY = 100_000


class Moves:
    """What a move needs of Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="move")
    async def move(self, wanted: MoveWanted) -> MoveGranted:
        """Let the row say the other version. Doing it again gives the same answer, because a local activity's result can be lost.

        The person's row is locked, as for an event that is accepted: what came before is handed over, what comes after is told by the
        names of the other version.
        """
        async with self._database.transaction() as connection:
            enrollment = await enrollments.get(connection, wanted.app, wanted.enrollment_id)
            await enrollments.lock_person(connection, wanted.app, enrollment.user_id)
            enrollment = await enrollments.get(connection, wanted.app, wanted.enrollment_id)
            if enrollment.state == "closed":
                return MoveGranted(ended=enrollment.end_reason or "ended")
            await _write_down(connection, wanted)
            return MoveGranted() if wanted.reason else await _grant(connection, wanted, enrollment)

    def activities(self) -> list[Callable[..., Any]]:
        return [self.move]


async def _write_down(connection: Connection, wanted: MoveWanted) -> None:
    order = wanted.order
    told = {"from": wanted.from_version, "to": order.version, "step": wanted.step, "to_step": wanted.to, "reason": wanted.reason}
    await interventions.write(
        connection,
        wanted.app,
        wanted.enrollment_id,
        interventions.Act("move", order.done_by, order.request, order.job_id),
        outcome="refused" if wanted.reason else "done",
        detail=told,
    )


async def _grant(connection: Connection, wanted: MoveWanted, enrollment: Enrollment) -> MoveGranted:
    journey = wanted.order.journey
    await enrollments.set_version(connection, wanted.app, enrollment.id, wanted.order.version)
    if wanted.to != wanted.step:
        await messages.drop_planned(connection, wanted.app, standing.source_of(enrollment.id), "moved")
    since = since_when(enrollment.entry)
    came = await enrollments.events_since(connection, wanted.app, enrollment.user_id, journey.signal_names, since, MOST_SINCE_ENTRY)
    return MoveGranted(handed_over(journey, enrollment.entry, came))
