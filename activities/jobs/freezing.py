"""The job that makes a list of those who are in a segment at a moment, some thousand people at a time."""

from datetime import datetime

from activities.jobs.work import Work
from journeys.language.conditions import InSegment
from journeys.language.errors import NotFound
from storage import jobs, segment_people, segments
from storage.jobs import Job, Progress
from storage.segment_people import Asked

PIECE = 5_000


async def freezes(work: Work, job: Job) -> Progress:
    """Look at the next people. What the segments meant when it was asked for stands in the job, whatever becomes of them."""
    given = job.parameters
    meant = segments.meant_by(given["segments"])
    asked = Asked(job.app, InSegment(given["segment"]), meant, datetime.fromisoformat(given["at"]))
    async with work.database.transaction() as connection:
        if await segments.get(connection, job.app, given["list"]) is None:
            raise NotFound(f"the segment {given['list']}, which was to be filled, is deleted")
        total = await segment_people.everybody(connection, job.app) if job.cursor is None else None
        done = await segment_people.freeze_next(connection, asked, given["list"], after=job.cursor or 0, most=PIECE)
        people = (job.result or {}).get("people", 0) + done.listed
        is_finished = done.looked_at < PIECE
        if is_finished:
            origin = {"origin": given["segment"], "version": given["version"]}
            await segments.mark_frozen(connection, job.app, given["list"], **origin, at=asked.at)
        progress = Progress(done.last, job.done + done.looked_at, total, {"segment": given["list"], "people": people}, is_finished)
        await jobs.advance(connection, job, progress)
    return progress
