"""The big switches: hold everything that would leave, of one journey or of the whole app, and let it go again."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, Field

from api.jobs import JobView, begin
from api.strict import App, Db, Who, Word, management
from api.temporal import Workflows, WorkflowsIfThere
from storage import direct_sends, held, journeys
from storage.database import Database

router = management("Pausing")
JourneyName = Annotated[Word, Path(description="the journey's name", examples=["onboarding"])]


class Paused(BaseModel):
    """What holds now."""

    journey: str | None = Field(description="null: the whole app", examples=["onboarding"])
    is_paused: bool
    held: int = Field(description="messages of journeys that wait at this moment", examples=[12])
    job: JobView | None = Field(description="on resume: the job that wakes those whose message waits")


@router.post("/pause", summary="Hold everything that leaves")
async def pause(app: App, database: Db) -> Paused:
    """No message of this app begins to be sent any more. Events are accepted, people enter and wait; nothing is lost."""
    return await _set(database, app, None, paused=True)


@router.post("/resume", summary="Let messages leave again")
async def resume(app: App, by: Who, database: Db, workflows: WorkflowsIfThere) -> Paused:
    """What was held goes out now, fifty people a second, unless a rule forbids it meanwhile."""
    return await _resume(database, workflows, app, None, by)


@router.post("/journeys/{name}/pause", summary="Hold the messages of one journey")
async def pause_journey(app: App, database: Db, name: JourneyName) -> Paused:
    """No message of this journey begins to be sent any more. People still enter; their waits go on."""
    return await _set(database, app, name, paused=True)


@router.post("/journeys/{name}/resume", summary="Let the messages of one journey leave again")
async def resume_journey(app: App, by: Who, database: Db, workflows: WorkflowsIfThere, name: JourneyName) -> Paused:
    """What was held goes out now, fifty people a second, unless a rule forbids it meanwhile or the whole app is paused."""
    return await _resume(database, workflows, app, name, by)


async def _set(database: Database, app: str, journey: str | None, *, paused: bool) -> Paused:
    async with database.transaction(app) as connection:
        await journeys.set_paused(connection, app, journey, paused=paused)
        if not paused and journey is None:
            await direct_sends.release(connection, app)
        counts = await held.counts(connection, app)
    waiting = sum(counts.values()) if journey is None else counts.get(journey, 0)
    return Paused(journey=journey, is_paused=paused, held=waiting, job=None)


async def _resume(database: Database, workflows: Workflows | None, app: str, journey: str | None, by: str) -> Paused:
    """Whoever is written down as held is so before the switch is turned, so that the job finds them all."""
    resumed = await _set(database, app, journey, paused=False)
    if not resumed.held:
        return resumed
    job = await begin(database, workflows, app, "release", {"journey": journey, "done_by": by})
    return resumed.model_copy(update={"job": job})
