"""The activities of an enrollment's workflow, with their names as people read them in the Temporal UI.

Each answers from Postgres and writes its verdict there once, because a local activity may run again after its result was lost.
"""

import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.best_time import best_time
from activities.knowledge import facts_for
from activities.messages import Messages
from activities.moves import Moves
from activities.orders import SendOrder
from activities.questions import Decision, Ending, EventsWanted, MomentWanted
from journeys.language import moments
from journeys.language.durations import BestTime
from journeys.language.facts import EventFact, Facts
from journeys.language.keys import counts
from journeys.language.verdict import SendVerdict
from storage import conditions, enrollments, messages, outcomes, standing
from storage.database import Database

CHANNELS = ("email", "sms", "whatsapp", "voice", "push", "in_app", "webhook", "custom")
# 2 s, 4 s, ... up to 17 minutes.
FIRST_RETRY = timedelta(seconds=2)
MOST_DOUBLINGS = 9
# More than anybody has of the names that a journey waits for; it only bounds memory.
MOST_RECALLED = 100_000


class Steps:
    """What a step needs of Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="decide")
    async def decide(self, decision: Decision) -> int | None:
        """Return the place of the first condition that holds, or None: read once, then always the same answer."""
        async with self._database.transaction() as connection:
            stored = await outcomes.stored(connection, decision.app, decision.enrollment_id, decision.step, decision.visit)
            if stored is None:
                place = await self._first_that_holds(connection, decision)
                verdict = {"kind": "decided", "branch": place}
                stored = await outcomes.write(connection, decision.app, decision.enrollment_id, decision.step, decision.visit, verdict)
        branch: int | None = stored["branch"]
        return branch

    async def _first_that_holds(self, connection: Any, decision: Decision) -> int | None:
        enrollment = await enrollments.get(connection, decision.app, decision.enrollment_id)
        moment = await enrollments.database_now(connection)
        for place, condition in enumerate(decision.conditions):
            if await conditions.holds(
                connection,
                decision.app,
                condition,
                user_id=enrollment.user_id,
                entry=enrollment.entry,
                captured=decision.captured,
                source=decision.enrollment_id,
                at=moment,
            ):
                return place
        return None

    @activity.defn(name="compute moment")
    async def instant(self, wanted: MomentWanted) -> datetime | None:
        async with self._database.transaction() as connection:
            enrollment = await enrollments.get(connection, wanted.app, wanted.enrollment_id)
            person = await standing.lock_person(connection, wanted.app, enrollment.user_id)
            if person is None:
                return None
            now = await enrollments.database_now(connection)
            facts = await facts_for(connection, enrollment, person, wanted.captured, wanted.moment, now)
            if isinstance(wanted.moment, BestTime):
                return await best_time(connection, wanted, wanted.moment, facts, now)
        return moments.instant(wanted.moment, facts, now)

    @activity.defn(name="recall events")
    async def recall(self, wanted: EventsWanted) -> list[EventFact]:
        async with self._database.transaction() as connection:
            enrollment = await enrollments.get(connection, wanted.app, wanted.enrollment_id)
            names = wanted.events.names
            came = await enrollments.events_since(connection, wanted.app, enrollment.user_id, names, wanted.since, MOST_RECALLED)
        facts = Facts(entry=enrollment.entry, entered_at=enrollment.entry.occurred_at, captured=wanted.captured)
        meant = [event for event in came if event.id != enrollment.entry.id and counts(wanted.key, wanted.events, event, facts)]
        return meant[: wanted.most]

    @activity.defn(name="end")
    async def end(self, ending: Ending) -> None:
        async with self._database.transaction() as connection:
            await enrollments.close(connection, ending.app, ending.enrollment_id, ending.reason)
            await messages.drop_planned(connection, ending.app, ending.enrollment_id, "exited")

    def activities(self) -> list[Callable[..., Any]]:
        return [self.decide, self.instant, self.recall, self.end, *Moves(self._database).activities()]


def deliveries(hands: Messages) -> list[Callable[..., Any]]:
    """One activity a channel, so that the UI's timeline reads email, push, sms; all of them deliver. And `give up`, after 72 hours."""

    def delivery(channel: str) -> Callable[[SendOrder], Coroutine[Any, Any, SendVerdict]]:
        @activity.defn(name=channel)
        async def deliver(order: SendOrder) -> SendVerdict:
            verdict = await hands.deliver(order)
            if verdict.status == "again" and order.may_wait:
                raise _not_yet(verdict)
            return verdict

        return deliver

    @activity.defn(name="give up")
    async def give_up(order: SendOrder) -> SendVerdict:
        return await hands.abandon(order)

    return [*(delivery(channel) for channel in CHANNELS), give_up]


def _not_yet(verdict: SendVerdict) -> ApplicationError:
    """Let Temporal retry, and show people why in the UI; what is in the way names the shortest delay, backoff the usual one."""
    backoff = FIRST_RETRY * 2.0 ** min(activity.info().attempt - 1, MOST_DOUBLINGS)
    named = verdict.until - datetime.now(UTC) if verdict.until else timedelta(0)
    return ApplicationError(
        ", ".join(verdict.reasons) or "the provider cannot take it now",
        type="NotYet",
        category=ApplicationErrorCategory.BENIGN,
        next_retry_delay=max(named, backoff) * random.uniform(1.0, 1.25),  # noqa: S311 - spreads those who wait for one provider
    )
