"""Enrollments: who is in which journey, where they stand and why; letting one go on, or out."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path, Query
from pydantic import BaseModel, Field

from api.paging import Cursor, Limit, Page, page_of, position
from api.strict import App, Body, Db, Word, management
from api.temporal import RunningWorkflows, WorkflowsIfThere
from api.words import left_words, reason_words
from journeys.language.errors import Conflict, NotFound, Unavailable
from storage import enrollments, passages, people
from storage.database import Database
from storage.passages import Outcome, Passage

router = management("Enrollments")
EnrollmentId = Annotated[str, Path(description="the enrollment's id", examples=["019a0000-0000-8000-8000-000000000000"])]
State = Literal["starting", "open", "closed"]


class EnrollmentView(BaseModel):
    """One user's passage through one version of a journey."""

    id: UUID
    user_id: str | None = Field(description="who it is now; null while anonymous", examples=["user-4711"])
    subject: str = Field(description="the id at entry, which decides their arms", examples=["user-4711"])
    journey: str = Field(examples=["onboarding"])
    version: int = Field(examples=[3])
    key: str = Field(description="the value of the journey's key; empty without one")
    n: int = Field(description="the how-manieth enrollment of this subject and key")
    workflow_id: str = Field(description="to find it in the Temporal Web UI", examples=["demo/onboarding/user-4711#1"])
    state: str = Field(description="starting, open or closed", examples=["open"])
    entry_name: str = Field(examples=["signed_up"])
    entry_event_id: str
    entry_properties: dict[str, Any]
    entered_at: datetime = Field(description="when the entry event occurred")
    started_at: datetime
    ended_at: datetime | None
    end_reason: str | None = Field(examples=["completed"])


class Where(BaseModel):
    """Where the person stands. `source` is workflow, or stored when the workflow does not answer: then waits are not known."""

    source: Literal["workflow", "stored", "ended"]
    words: str = Field(examples=["wait until 2026-11-24 12:00 UTC: settle_in"])
    step: str | None = Field(None, examples=["settle_in"])
    since: datetime | None = None
    until: datetime | None = None


class OutcomeView(BaseModel):
    """What a step came to."""

    step: str = Field(examples=["welcome"])
    visit: int
    at: datetime
    verdict: dict[str, Any]


class InspectedEnrollment(EnrollmentView):
    """An enrollment, where it stands and how it came there."""

    where: Where
    outcomes: list[OutcomeView]


class ExitBody(Body):
    """Why somebody is taken out; it is shown in the timeline."""

    reason: Word = Field("exited_by_hand", examples=["asked_support"])


class Told(BaseModel):
    """The workflow was told; it acts within moments."""

    enrollment: UUID
    told: str = Field(examples=["advance"])


@router.get("/enrollments", summary="List enrollments")
async def list_enrollments(
    app: App,
    database: Db,
    user_id: Annotated[Word | None, Query(description="only this user's")] = None,
    journey: Annotated[Word | None, Query(description="only those in this journey")] = None,
    state: Annotated[State | None, Query(description="only those in this state")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[EnrollmentView]:
    """The newest first."""
    before = position(cursor, UUID)
    async with database.transaction(app) as connection:
        person = await people.internal_id(connection, app, user_id) if user_id is not None else None
        rows = await passages.page(
            connection, app, user_id=person, journey=journey, state=state, before=before[0] if before else None, most=limit + 1
        )
    kept, following = page_of(rows, limit, lambda row: [str(row.id)])
    return Page(items=[EnrollmentView(**vars(row)) for row in kept], next=following)


@router.get("/enrollments/{enrollment_id}", summary="Where do they stand, since when, and why?")
async def inspect_enrollment(app: App, database: Db, workflows: WorkflowsIfThere, enrollment_id: EnrollmentId) -> InspectedEnrollment:
    """The running workflow is asked where it stands. Where it does not answer within 2 seconds, what is stored answers, and says so."""
    row = await _passage(database, app, enrollment_id)
    async with database.transaction(app) as connection:
        outcomes = await passages.outcomes(connection, app, row.id)
    where = _ended(row) if row.state == "closed" else None
    if where is None and workflows is not None and (standing := await workflows.standing(row.workflow_id)):
        where = Where(source="workflow", words=standing.words, step=standing.step, since=standing.since, until=standing.until)
    shown = [OutcomeView(**vars(outcome)) for outcome in outcomes]
    return InspectedEnrollment(**vars(row), where=where or _stored(row, outcomes), outcomes=shown)


@router.post("/enrollments/{enrollment_id}/advance", status_code=202, summary="Let a wait end now")
async def advance_enrollment(app: App, database: Db, workflows: RunningWorkflows, enrollment_id: EnrollmentId) -> Told:
    """The wait that is going on ends as if its time had come. Nothing happens where the enrollment is not waiting."""
    row = await _open_passage(database, app, enrollment_id)
    await workflows.advance(row.workflow_id)
    return Told(enrollment=row.id, told="advance")


@router.post("/enrollments/{enrollment_id}/exit", status_code=202, summary="Take somebody out of a journey")
async def exit_enrollment(app: App, database: Db, workflows: WorkflowsIfThere, enrollment_id: EnrollmentId, body: ExitBody) -> Told:
    """The enrollment ends now, with this reason: no send begins any more, and what has begun is still sent.

    Its workflow is told; where Temporal cannot be reached, it ends as soon as it can be.
    """
    row = await _open_passage(database, app, enrollment_id)
    async with database.transaction(app) as connection:
        enrolled = await enrollments.get(connection, app, row.id)
        # The lock that a claim takes: after this answer nothing more is claimed for the enrollment.
        await enrollments.lock_person(connection, app, enrolled.user_id)
        if not await enrollments.close(connection, app, row.id, body.reason):
            raise Conflict("this enrollment has ended already")
    if workflows is not None:
        # The reconciler ends a workflow whose row is closed, so a signal that fails costs only time.
        with suppress(Conflict, Unavailable):
            await workflows.exit(row.workflow_id, body.reason)
    return Told(enrollment=row.id, told="exit")


async def _open_passage(database: Database, app: str, enrollment_id: str) -> Passage:
    row = await _passage(database, app, enrollment_id)
    if row.state == "closed":
        raise Conflict("this enrollment has ended already")
    return row


async def _passage(database: Database, app: str, enrollment_id: str) -> Passage:
    try:
        key = UUID(enrollment_id)
    except ValueError:
        raise NotFound("no such enrollment") from None
    async with database.transaction(app) as connection:
        return await passages.passage(connection, app, key)


def _ended(row: Passage) -> Where:
    return Where(source="ended", words=f"left{left_words(row.end_reason)}", since=row.ended_at)


def _stored(row: Passage, outcomes: list[Outcome]) -> Where:
    """Say what the tables know: the last thing that a step came to."""
    if not outcomes:
        return Where(source="stored", words="entered; no step has come to anything yet", since=row.started_at)
    last = outcomes[-1]
    if last.verdict.get("kind") == "message":
        reason = reason_words(last.verdict.get("reason"))
        words = f"message of {last.step} is {last.verdict['state']}" + (f", because {reason}" if reason else "")
    else:
        words = f"after {last.step}"
    return Where(source="stored", words=f"{words} (from what is stored: the workflow did not answer)", step=last.step, since=last.at)
