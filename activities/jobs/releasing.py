"""The job behind `resume`: it wakes those whose message was held, the longest inside first, at a pace that two cores can follow."""

import asyncio

from activities.jobs.work import Work
from activities.telling import tell
from storage import held
from storage.held import Held
from storage.jobs import Job, Progress

# Everybody who is woken sends at once, and the provider must not get them all together: 100,000 people take a little over half an hour.
PER_S = 50
PIECE = 50


async def releases(work: Work, job: Job) -> Progress:
    """Wake the next ones, spread over a second. Those who are paused again meanwhile are left alone."""
    async with work.database.transaction() as connection:
        page = await held.released(connection, job.app, job.parameters["journey"], PIECE)
        total = sum((await held.counts(connection, job.app)).values()) if job.cursor is None else None
    if job.parameters["journey"] is not None:
        total = None
    await asyncio.gather(*(_wake(work, job, place, each) for place, each in enumerate(page)))
    async with work.database.transaction() as connection:
        await held.forget(connection, job.app, [each.enrollment_id for each in page])
    woken = job.done + len(page)
    return Progress(woken, woken, total, {"woken": woken}, is_finished=len(page) < PIECE)


async def _wake(work: Work, job: Job, place: int, waiting: Held) -> None:
    await asyncio.sleep(place / PER_S)
    if waiting.state != "closed":
        await tell(work.client, waiting.workflow_id, "release", [], f"{job.id}/{waiting.enrollment_id}")
