"""The big switches: hold everything that would leave, of one journey or of the whole app, and let it go again."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, Field

from api.strict import App, Db, Word, management
from storage import journeys
from storage.database import Database

router = management("Pausing")
JourneyName = Annotated[Word, Path(description="the journey's name", examples=["onboarding"])]


class Paused(BaseModel):
    """What holds now."""

    journey: str | None = Field(description="null: the whole app", examples=["onboarding"])
    is_paused: bool


@router.post("/pause", summary="Hold everything that leaves")
async def pause(app: App, database: Db) -> Paused:
    """No message of this app begins to be sent any more. Events are accepted, people enter and wait; nothing is lost."""
    return await _set(database, app, None, paused=True)


@router.post("/resume", summary="Let messages leave again")
async def resume(app: App, database: Db) -> Paused:
    """What was held goes out now, unless a rule forbids it meanwhile."""
    return await _set(database, app, None, paused=False)


@router.post("/journeys/{name}/pause", summary="Hold the messages of one journey")
async def pause_journey(app: App, database: Db, name: JourneyName) -> Paused:
    """No message of this journey begins to be sent any more. People still enter; their waits go on."""
    return await _set(database, app, name, paused=True)


@router.post("/journeys/{name}/resume", summary="Let the messages of one journey leave again")
async def resume_journey(app: App, database: Db, name: JourneyName) -> Paused:
    """What was held goes out now, unless a rule forbids it meanwhile."""
    return await _set(database, app, name, paused=False)


async def _set(database: Database, app: str, journey: str | None, *, paused: bool) -> Paused:
    async with database.transaction(app) as connection:
        await journeys.set_paused(connection, app, journey, paused=paused)
    return Paused(journey=journey, is_paused=paused)
