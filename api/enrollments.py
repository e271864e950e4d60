"""Enrollments: who is in which journey, where they stand and why; letting one go on, or out."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import Path, Query
from pydantic import BaseModel, Field

from activities.jobs.by_hand import take_out
from activities.move_orders import Movable, MoveOrder
from api.paging import Cursor, Limit, Page, page_of, position
from api.strict import App, Body, Db, Who, Word, management
from api.temporal import RunningWorkflows, WorkflowsIfThere
from api.words import intervention_words, left_words, reason_words
from journeys.language.codec import from_json
from journeys.language.errors import Conflict, NotFound, Unavailable
from journeys.language.moving import REASONS
from storage import interventions, journeys, passages, people
from storage.database import Connection, Database
from storage.interventions import Act
from storage.passages import Outcome, Passage

router = management("Enrollments")
EnrollmentId = Annotated[str, Path(description="the enrollment's id", examples=["019a0000-0000-8000-8000-000000000000"])]
State = Literal["starting", "open", "closed"]


class Which(BaseModel):
    """What a list of enrollments is narrowed to."""

    user_id: Word | None = Field(None, description="only this user's")
    journey: Word | None = Field(None, description="only those in this journey")
    version: int | None = Field(None, ge=1, description="only those in this version")
    key: Word | None = Field(None, description="only those with this value of the journey's key")
    state: State | None = Field(None, description="only those in this state")
    end_reason: Word | None = Field(None, description="only those that ended so; `exited` finds every exit", examples=["completed"])
    since: datetime | None = Field(None, description="only those that started at or after this moment")
    until: datetime | None = Field(None, description="only those that started before this moment")
    held: bool | None = Field(None, description="only those whose message waits because sending is paused (false: the others)")
    last_step: Word | None = Field(None, description="only those of whose steps this came to something last; name a journey with it")

    async def filter(self, connection: Connection, app: str) -> passages.Filter:
        """The same as storage asks it. Raises NotFound for a user who is not known."""
        return passages.Filter(
            user_id=await people.internal_id(connection, app, self.user_id) if self.user_id is not None else None,
            is_held=self.held,
            **self.model_dump(exclude={"user_id", "held"}),
        )


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
    held_step: str | None = Field(description="set: its message waits because sending is paused", examples=["guide"])
    held_at: datetime | None


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


class InterventionView(BaseModel):
    """Something that was done by hand."""

    at: datetime
    kind: str = Field(description="advance, exit, move, or closed", examples=["move"])
    outcome: str = Field(description="done or refused", examples=["done"])
    detail: dict[str, Any]
    done_by: str = Field(description="the name of the key that asked", examples=["support desk"])
    words: str = Field(examples=["moved from version 3 to version 4, at settle_in"])


class InspectedEnrollment(EnrollmentView):
    """An enrollment, where it stands and how it came there."""

    where: Where
    outcomes: list[OutcomeView]
    interventions: list[InterventionView]


class ExitBody(Body):
    """Why somebody is taken out; it is shown in the timeline."""

    reason: Word = Field("exited_by_hand", examples=["asked_support"])


class MoveBody(Body):
    """Where somebody is to go on."""

    to: int = Field(ge=1, description="the version", examples=[4])
    steps: dict[Word, Word] = Field(
        default_factory=dict, max_length=200, description="old step -> new step", examples=[{"rest": "settle_in"}]
    )
    dry_run: bool = Field(False, description="only say what would happen")


class Moving(BaseModel):
    """What becomes of somebody who is to be moved."""

    enrollment: UUID
    told: str | None = Field(description="null: nothing was done", examples=["move"])
    step: str | None = Field(description="where they stand", examples=["rest"])
    to: str | None = Field(description="where they go on", examples=["settle_in"])
    reason: str | None = Field(description="why they cannot be moved, or not yet (`sending`)")
    words: str | None


class Told(BaseModel):
    """The workflow was told; it acts within moments."""

    enrollment: UUID
    told: str = Field(examples=["advance"])


@router.get("/enrollments", summary="List enrollments")
async def list_enrollments(
    app: App, database: Db, which: Annotated[Which, Query()], limit: Limit = 50, cursor: Cursor = None
) -> Page[EnrollmentView]:
    """The newest first. A page stays right while people enter and leave: nobody comes twice, and nobody is passed over."""
    before = position(cursor, UUID)
    async with database.transaction(app) as connection:
        asked = await which.filter(connection, app)
        rows = await passages.page(connection, app, asked, position=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [str(row.id)])
    return Page(items=[EnrollmentView(**vars(row)) for row in kept], next=following)


@router.get("/enrollments/{enrollment_id}", summary="Where do they stand, since when, and why?")
async def inspect_enrollment(app: App, database: Db, workflows: WorkflowsIfThere, enrollment_id: EnrollmentId) -> InspectedEnrollment:
    """The running workflow is asked where it stands. Where it does not answer within 2 seconds, what is stored answers, and says so."""
    row = await _passage(database, app, enrollment_id)
    async with database.transaction(app) as connection:
        outcomes = await passages.outcomes(connection, app, row.id)
        done = await interventions.of_enrollment(connection, app, row.id)
    where = _ended(row) if row.state == "closed" else None
    if where is None and workflows is not None and (standing := await workflows.standing(row.workflow_id)):
        where = Where(source="workflow", words=standing.words, step=standing.step, since=standing.since, until=standing.until)
    return InspectedEnrollment(
        **vars(row),
        where=where or _stored(row, outcomes),
        outcomes=[OutcomeView(**vars(outcome)) for outcome in outcomes],
        interventions=[InterventionView(**vars(each), words=intervention_words(vars(each))) for each in done],
    )


@router.post("/enrollments/{enrollment_id}/advance", status_code=202, summary="Let a wait end now")
async def advance_enrollment(app: App, by: Who, database: Db, workflows: RunningWorkflows, enrollment_id: EnrollmentId) -> Told:
    """The wait that is going on ends as if its time had come. Nothing happens where the enrollment is not waiting."""
    row = await _open_passage(database, app, enrollment_id)
    await workflows.advance(database, app, row, Act("advance", by))
    return Told(enrollment=row.id, told="advance")


@router.post("/enrollments/{enrollment_id}/exit", status_code=202, summary="Take somebody out of a journey")
async def exit_enrollment(
    app: App, by: Who, database: Db, workflows: WorkflowsIfThere, enrollment_id: EnrollmentId, body: ExitBody
) -> Told:
    """The enrollment ends now, with this reason: no send begins any more, and what has begun is still sent.

    Its workflow is told; where Temporal cannot be reached, it ends as soon as it can be.
    """
    row = await _open_passage(database, app, enrollment_id)
    act = Act("exit", by)
    if not await take_out(database, None, app, row, body.reason, act):
        raise Conflict("this enrollment has ended already")
    if workflows is not None:
        # The reconciler ends a workflow whose row is closed, so a signal that fails costs only time.
        with suppress(Conflict, Unavailable):
            await workflows.exit(row.workflow_id, body.reason, act.request)
    return Told(enrollment=row.id, told="exit")


@router.post("/enrollments/{enrollment_id}/move", status_code=202, summary="Move somebody to another version of their journey")
async def move_enrollment(
    app: App, by: Who, database: Db, workflows: RunningWorkflows, enrollment_id: EnrollmentId, body: MoveBody
) -> Moving:
    """They go on in that version from the step that the map names, or from the step of the same id. What was sent is not sent again.

    With `dry_run` nothing happens. Somebody who is in the middle of a send moves when that has ended. Raises a conflict, with the reason,
    where it cannot be.
    """
    row = await _open_passage(database, app, enrollment_id)
    async with database.transaction(app) as connection:
        stored = await journeys.version(connection, app, row.journey, body.to)
    order = MoveOrder(str(uuid4()), from_json(stored.definition), body.to, body.steps, done_by=by)
    asked = await workflows.movable(row, order)
    if body.dry_run:
        return Moving(enrollment=row.id, told=None, **_answer(asked))
    if asked.reason not in (None, "sending"):
        raise Conflict(f"{asked.step or 'they'}: {REASONS.get(str(asked.reason), str(asked.reason))}")
    await workflows.move(row, order)
    return Moving(enrollment=row.id, told="move", **_answer(asked))


def _answer(asked: Movable) -> dict[str, Any]:
    return {"step": asked.step, "to": asked.to, "reason": asked.reason, "words": REASONS.get(asked.reason or "")}


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
