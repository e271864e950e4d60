"""Journeys: what is live, and its versions. Publishing is in plans.py."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, Field

from api import publishing
from api.strict import App, Db, LongTextRoute, Word, management
from journeys.language.codec import from_json
from journeys.language.errors import NotFound
from storage import held, journeys
from storage.database import Connection
from storage.journeys import JourneyState

router = management("Journeys", LongTextRoute)
JourneyName = Annotated[Word, Path(description="the journey's name", examples=["onboarding"])]
_DEFINITION = {"kind": "journey", "name": "onboarding", "starts_on": {"kind": "events"}, "steps": []}


class JourneyView(BaseModel):
    """A journey and how many people are inside."""

    name: str = Field(examples=["onboarding"])
    live_version: int = Field(description="the version that people enter now", examples=[3])
    live_hash: str = Field(description="SHA-256 of its definition")
    accepts_entries: bool
    paused_at: datetime | None = Field(description="set: nothing of it leaves")
    retired_at: datetime | None = Field(description="set: nobody enters, people inside finish")
    inside: dict[int, int] = Field(description="people inside, by version", examples=[{2: 17, 3: 204}])
    held: int = Field(description="of them, those whose message waits because sending is paused", examples=[0])


class JourneyList(BaseModel):
    """All journeys, by name."""

    items: list[JourneyView]


class VersionView(BaseModel):
    """One published version; it never changes."""

    version: int
    hash: str
    published_at: datetime
    inside: int = Field(description="people who are inside this version")


class JourneyWithVersions(JourneyView):
    """A journey with its versions, the newest first, and the live definition."""

    entry: str = Field(description="how often a person may enter", examples=["each user once in a lifetime"])
    versions: list[VersionView]
    definition: dict[str, Any] = Field(examples=[_DEFINITION])


@router.get("/journeys", summary="List journeys")
async def list_journeys(app: App, database: Db) -> JourneyList:
    """All of them, retired ones too, with how many people are inside each version."""
    async with database.transaction(app) as connection:
        waiting = await held.counts(connection, app)
        states = await journeys.states(connection, app)
    return JourneyList(items=[JourneyView(**vars(state), held=waiting.get(state.name, 0)) for state in states])


@router.get("/journeys/{name}", summary="Get a journey")
async def get_journey(app: App, database: Db, name: JourneyName) -> JourneyWithVersions:
    """One journey with its versions and the definition that people enter now."""
    async with database.transaction(app) as connection:
        state = await _state(connection, app, name)
        live = await journeys.version(connection, app, name, state.live_version)
        versions = await journeys.versions(connection, app, name)
        waiting = (await held.counts(connection, app)).get(name, 0)
    shown = [VersionView(**vars(each), inside=state.inside.get(each.version, 0)) for each in versions]
    journey = from_json(live.definition)
    definition = publishing.plain(live.definition)
    entry = publishing.entry_words(journey)
    return JourneyWithVersions(**vars(state), held=waiting, entry=entry, versions=shown, definition=definition)


async def _state(connection: Connection, app: str, name: str) -> JourneyState:
    for state in await journeys.states(connection, app):
        if state.name == name:
            return state
    raise NotFound("no such journey")
