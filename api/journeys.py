"""Journeys: what is live, what publishing would change, and publishing. Definitions come as JSON (docs/reference/journey.schema.json)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel, Field

from api import publishing
from api.completeness import missing_content, unannounced
from api.publishing import JourneyChange, TemplateChange, Written
from api.strict import App, Body, Db, LongTextRoute, Word, management
from channels.render import Renderer
from channels.templates import content_hash
from journeys.language.codec import from_json
from journeys.language.errors import Invalid, NotFound, Problem
from storage import held, journeys, outbox, templates
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


class Publication(Body):
    """Everything that a house has: what is not in it is retired (journeys) or left alone (templates)."""

    journeys: list[dict[str, Any]] = Field(max_length=1000, description="definitions", examples=[[_DEFINITION]])
    templates: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="template name -> file name -> text", examples=[{"welcome": {"subject.txt": "Hello"}}]
    )
    paused: bool = Field(False, description="publish without entries: nobody enters until it is applied again without this")


class JourneyChangeView(BaseModel):
    """What becomes of one journey."""

    name: str = Field(examples=["onboarding"])
    change: str = Field(description="new, changed, same, retired, or back from retirement", examples=["changed"])
    version: int | None = Field(description="live before; null when it is new")
    inside: int = Field(description="people inside, who finish the version they entered")
    entry: str = Field(examples=["each user once in a lifetime"])
    moved: list[str] = Field(description="what a change of weights does to people's arms")


class TemplateChangeView(BaseModel):
    """What becomes of one template."""

    name: str = Field(examples=["welcome"])
    change: str = Field(description="new, changed or same", examples=["same"])
    version: int | None


class PlanView(BaseModel):
    """What applying would change, or has changed."""

    journeys: list[JourneyChangeView]
    templates: list[TemplateChangeView]


class Applied(PlanView):
    """What was changed, and which version of each is live now."""

    versions: dict[str, int] = Field(description="journey -> live version", examples=[{"onboarding": 4}])


@router.get("/journeys", summary="List journeys")
async def list_journeys(app: App, database: Db) -> JourneyList:
    """All of them, retired ones too, with how many people are inside each version."""
    async with database.transaction(app) as connection:
        waiting = await held.counts(connection, app)
        states = await journeys.states(connection, app)
    return JourneyList(items=[JourneyView(**vars(state), held=waiting.get(state.name, 0)) for state in states])


@router.post("/journeys/plan", summary="What would publishing change?")
async def plan(request: Request, app: App, database: Db, body: Publication) -> PlanView:
    """Check definitions and templates, and say what is new, changed and retired. Nothing is changed."""
    written = await _read(request, body)
    async with database.transaction(app) as connection:
        return _plan_view(*await _compare(connection, app, written, body))


@router.post("/journeys/apply", summary="Publish journeys and templates")
async def apply(request: Request, app: App, database: Db, body: Publication) -> Applied:
    """Publish all of it, or nothing. The same content again changes nothing.

    People inside finish the version they entered. Journeys that are not named any more are retired: nobody enters them.
    """
    written = await _read(request, body)
    async with database.transaction(app) as connection:
        changes, template_changes = await _compare(connection, app, written, body)
        for name, files in sorted(body.templates.items()):
            await templates.publish(connection, app, name, files, content_hash(files))
        versions = {each.journey.name: await _publish(connection, app, each, paused=body.paused) for each in written}
        await journeys.retire(connection, app, [change.name for change in changes if change.change == "retired"])
    return Applied(**dict(_plan_view(changes, template_changes)), versions=versions)


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


async def _compare(
    connection: Connection, app: str, written: Sequence[Written], body: Publication
) -> tuple[list[JourneyChange], list[TemplateChange]]:
    live = {stored.name: stored for stored in await templates.live_with_files(connection, app)}
    texts = {name: stored.files for name, stored in live.items()} | body.templates
    found = missing_content([each.journey for each in written], texts)
    found += unannounced([each.journey for each in written], await outbox.announced(connection))
    if found:
        raise Invalid([Problem("/journeys", problem.code, f"{problem.pointer}: {problem.message}") for problem in found])
    definitions = {stored.journey: stored.definition for stored in await journeys.live(connection, app)}
    changes = publishing.compare(written, await journeys.states(connection, app), definitions)
    return changes, publishing.compare_templates(body.templates, {name: (stored.version, stored.hash) for name, stored in live.items()})


async def _read(request: Request, body: Publication) -> list[Written]:
    """Read and check all that needs no database. Raises Invalid with everything that is wrong."""
    found = publishing.name_problems(body.templates)
    renderer: Renderer = request.app.state.renderer
    for name, files in body.templates.items() if not found else ():
        found += [replace(problem, pointer=f"/{problem.pointer}") for problem in await renderer.problems(name, files)]
    if found:
        raise Invalid(found)
    return publishing.read(body.journeys)


async def _publish(connection: Connection, app: str, written: Written, *, paused: bool) -> int:
    return await journeys.publish(
        connection,
        app,
        name=written.journey.name,
        definition=written.definition,
        content_hash=written.hash,
        entry_names=written.journey.entry_names,
        listen_names=written.journey.signal_names,
        accepts_entries=not paused,
    )


async def _state(connection: Connection, app: str, name: str) -> JourneyState:
    for state in await journeys.states(connection, app):
        if state.name == name:
            return state
    raise NotFound("no such journey")


def _plan_view(changes: Sequence[JourneyChange], template_changes: Sequence[TemplateChange]) -> PlanView:
    return PlanView(
        journeys=[JourneyChangeView(**(vars(change) | {"moved": list(change.moved)})) for change in changes],
        templates=[TemplateChangeView(**vars(change)) for change in template_changes],
    )
