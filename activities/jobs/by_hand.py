"""Jobs that do by hand to many what can be done to one enrollment: take them out, let their waits end, send them an event."""

from datetime import UTC, datetime

from temporalio.client import Client

from activities.jobs.walk import walk
from activities.jobs.work import Work
from activities.telling import tell
from storage import enrollments, events, interventions, messages, standing
from storage.database import Database
from storage.interventions import Act
from storage.jobs import Job, Progress
from storage.passages import Passage


async def take_out(database: Database, client: Client | None, app: str, passage: Passage, reason: str, act: Act) -> bool:
    """End an enrollment: nothing is claimed for it after this. False: it had ended already.

    The workflow is told where there is a client; the reconciler ends one that did not hear of it.
    """
    async with database.transaction() as connection:
        enrolled = await enrollments.get(connection, app, passage.id)
        # The lock that a claim takes.
        await enrollments.lock_person(connection, app, enrolled.user_id)
        if not await enrollments.close(connection, app, passage.id, reason):
            return False
        await messages.drop_planned(connection, app, standing.source_of(passage.id), "exited")
        await interventions.write(connection, app, passage.id, act, detail={"reason": reason})
    if client is not None:
        await tell(client, passage.workflow_id, "exit", [reason], act.request)
    return True


async def let_wait_end(database: Database, client: Client, app: str, passage: Passage, act: Act) -> bool:
    """Let the wait that is going on end as if its time had come. False: its workflow does not run."""
    if not await tell(client, passage.workflow_id, "advance", [], act.request):
        return False
    async with database.transaction() as connection:
        await interventions.write(connection, app, passage.id, act)
    return True


async def exits(work: Work, job: Job) -> Progress:
    """Take everybody out whom the filter finds."""
    reason = str(job.parameters["reason"])

    async def act(passage: Passage) -> str:
        was_inside = await take_out(work.database, work.client, job.app, passage, reason, _act(job, "exit", passage))
        return "taken_out" if was_inside else "had_left"

    return await walk(work, job, act, written_as="taken_out")


async def advances(work: Work, job: Job) -> Progress:
    """Let the waits of everybody end whom the filter finds."""

    async def act(passage: Passage) -> str:
        is_told = await let_wait_end(work.database, work.client, job.app, passage, _act(job, "advance", passage))
        return "told" if is_told else "not_running"

    return await walk(work, job, act, written_as="told")


async def sends_events(work: Work, job: Job) -> Progress:
    """Let an event come in for everybody whom the filter finds, by the way that every event comes."""
    name, properties = str(job.parameters["name"]), dict(job.parameters["properties"])

    async def act(passage: Passage) -> str:
        if passage.user_id is None:
            return "anonymous"
        # The moment is the job's, so that a piece that is done again sends the same event, which is taken once.
        item = events.Incoming(
            event_id=f"{job.id}/{passage.id}", occurred_at=job.created_at, name=name, user_id=passage.user_id, properties=properties
        )
        async with work.database.transaction() as connection:
            await events.accept(connection, job.app, [item], received_at=datetime.now(UTC), is_history=False)
        return "accepted"

    return await walk(work, job, act)


def _act(job: Job, kind: interventions.Kind, passage: Passage) -> Act:
    return Act(kind, str(job.parameters["done_by"]), f"{job.id}/{passage.id}", str(job.id))
