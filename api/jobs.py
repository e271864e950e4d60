"""Jobs: long work that is watched, stopped and resumed. What starts a job stands with its own noun; here is what all jobs share."""

import hashlib
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import Path, Query
from pydantic import BaseModel, Field

from api.paging import Cursor, Limit, Page, page_of, position
from api.strict import App, Db, Word, management
from api.temporal import Workflows, WorkflowsIfThere
from journeys.language.errors import Invalid, NotFound, Problem, Unavailable
from storage import idempotency, jobs
from storage.database import Connection, Database
from storage.idempotency import GivenAnswer, Repeatable
from storage.jobs import Job

router = management("Jobs")
JobId = Annotated[str, Path(description="the job's id", examples=["019a0000-0000-8000-8000-000000000000"])]
State = Literal["running", "stopped", "done", "failed"]


class JobView(BaseModel):
    """Long work that is done piece by piece."""

    id: UUID
    kind: str = Field(description="what it does", examples=["backtest"])
    parameters: dict[str, Any] = Field(description="what it was started with")
    state: State = Field(description="running, stopped by somebody, done, or failed with `error`", examples=["running"])
    done: int = Field(description="how much is done, of `total`", examples=[2000])
    total: int | None = Field(description="null until it is known", examples=[23570])
    result: Any = Field(description="what came out, as far as it is done; its form is the kind's")
    error: str | None = Field(description="why the present piece failed last: a running job tries it again", examples=[None])
    created_at: datetime
    updated_at: datetime


async def begin(
    database: Database, workflows: Workflows | None, app: str, kind: str, parameters: dict[str, Any], key: str | None = None
) -> JobView:
    """Write a job down and let a worker take it up. Without Temporal it is accepted all the same, and begins when that is back.

    `key`: the request's Idempotency-Key; the job of the first request with it is the job of all.
    """
    async with database.transaction(app) as connection:
        job = await _written(connection, app, kind, parameters, key)
    await take_up(workflows, job.app, job.id)
    return view(job)


async def _written(connection: Connection, app: str, kind: str, parameters: dict[str, Any], key: str | None) -> Job:
    if key is None:
        return await jobs.create(connection, app, kind, parameters)
    request = Repeatable(f"job {kind}", "", key)
    asked = hashlib.sha256(orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)).digest()
    given = await idempotency.given(connection, app, request)
    if given is None:
        job = await jobs.create(connection, app, kind, parameters)
        await idempotency.keep(connection, app, request, GivenAnswer(asked, HTTPStatus.ACCEPTED, {"job": str(job.id)}))
        return job
    if given.body_hash != asked:
        raise Invalid([Problem("", "idempotency_key_reused", "this Idempotency-Key came with another body: use a new key")])
    return await jobs.get(connection, app, UUID(given.answer["job"]))


def view(job: Job) -> JobView:
    """Show a job to people."""
    return JobView.model_validate(vars(job))


@router.get("/jobs", summary="List jobs")
async def list_jobs(
    app: App,
    database: Db,
    state: Annotated[State | None, Query(description="only those in this state")] = None,
    kind: Annotated[Word | None, Query(description="only those of this kind")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[JobView]:
    """The newest first."""
    before = position(cursor, UUID)
    async with database.transaction(app) as connection:
        rows = await jobs.page(connection, app, state=state, kind=kind, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [str(row.id)])
    return Page(items=[view(row) for row in kept], next=following)


@router.get("/jobs/{job_id}", summary="Get a job")
async def get_job(app: App, database: Db, job_id: JobId) -> JobView:
    """How far it is, and what came out so far."""
    async with database.transaction(app) as connection:
        return view(await jobs.get(connection, app, _key(job_id)))


@router.post("/jobs/{job_id}/stop", summary="Stop a job")
async def stop_job(app: App, database: Db, job_id: JobId) -> JobView:
    """The piece that is under way is finished, and no other begins. What is done stays done."""
    async with database.transaction(app) as connection:
        return view(await jobs.stop(connection, app, _key(job_id)))


@router.post("/jobs/{job_id}/resume", summary="Let a job go on")
async def resume_job(app: App, database: Db, workflows: WorkflowsIfThere, job_id: JobId) -> JobView:
    """A stopped or failed job goes on where it was."""
    async with database.transaction(app) as connection:
        job = await jobs.resume(connection, app, _key(job_id))
    await take_up(workflows, job.app, job.id)
    return view(job)


async def take_up(workflows: Workflows | None, app: str, job_id: UUID) -> None:
    """Let a worker begin with a job that is written down."""
    # A worker starts what says that it runs and does not move, so a start that fails costs only seconds.
    if workflows is not None:
        with suppress(Unavailable):
            await workflows.start_job(app, job_id)


def _key(job_id: str) -> UUID:
    try:
        return UUID(job_id)
    except ValueError:
        raise NotFound("no such job") from None
