"""A walk over enrollments that a filter finds, for jobs that do something to each: page by page, oldest first."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from activities.jobs.work import Work
from journeys.language.conditions import AnyCondition
from storage import conditions, enrollments, interventions, passages
from storage.database import Connection
from storage.jobs import Job, Progress
from storage.passages import Filter, Passage

PAGE = 100
AT_ONCE = 16
_CONDITION: TypeAdapter[Any] = TypeAdapter(AnyCondition)

Act = Callable[[Passage], Awaitable[str]]
"""What is done to one enrollment; the answer is what it is counted under."""


def read_condition(written: Any) -> Any:
    """A condition from JSON. Raises pydantic's ValidationError."""
    return _CONDITION.validate_python(written)


def selected(job: Job) -> Filter:
    """Those whom the job's parameters name and who were inside when it was asked for."""
    where = dict(job.parameters["where"])
    asked_at = job.created_at + timedelta(milliseconds=1)
    return Filter(
        journey=where.get("journey"),
        version=where.get("version"),
        key=where.get("key"),
        since=_instant(where.get("since")),
        until=min(asked_at, _instant(where.get("until")) or asked_at),
        is_held=where.get("held"),
        last_step=where.get("last_step"),
        is_inside=True,
    )


async def walk(work: Work, job: Job, act: Act, *, written_as: str | None = None) -> Progress:
    """Do it to the next page of those who are meant, several at once; count the answers in the job's result.

    `written_as` is the answer of those whose story says so: at the end they are counted there, because a piece that is done again finds
    some of them gone.
    """
    asked = selected(job)
    async with work.database.transaction() as connection:
        total = await passages.count(connection, job.app, asked) if job.cursor is None else None
        position = UUID(job.cursor) if job.cursor else None
        page = await passages.page(connection, job.app, asked, position=position, most=PAGE, forward=True)
        meant = await _meant(connection, job, page)
    answers = await each(meant, act)
    result: dict[str, int] = dict(job.result or {})
    for answer in answers:
        result[answer] = result.get(answer, 0) + 1
    if written_as is not None and len(page) < PAGE:
        async with work.database.transaction() as connection:
            done = await interventions.of_job(connection, job.app, job.id)
        result[written_as] = sum(each.people for each in done if each.outcome == "done")
    cursor = str(page[-1].id) if page else job.cursor
    return Progress(cursor, job.done + len(page), total, result, is_finished=len(page) < PAGE)


async def each(page: Sequence[Passage], act: Act) -> list[str]:
    """Do it to all of them, a bounded number at a time, and give the answers in their order."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(passage: Passage) -> str:
        async with gate:
            return await act(passage)

    return await asyncio.gather(*(one(passage) for passage in page))


async def _meant(connection: Connection, job: Job, page: Sequence[Passage]) -> list[Passage]:
    """Those of a page for whom the condition holds now."""
    written = job.parameters["where"].get("condition")
    if written is None:
        return list(page)
    condition = read_condition(written)
    now = await enrollments.database_now(connection)
    return [passage for passage in page if await _holds(connection, job.app, condition, passage, now)]


async def _holds(connection: Connection, app: str, condition: Any, passage: Passage, now: datetime) -> bool:
    enrollment = await enrollments.get(connection, app, passage.id)
    return await conditions.holds(
        connection, app, condition, user_id=enrollment.user_id, entry=enrollment.entry, captured={}, source=str(passage.id), at=now
    )


def _instant(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None
