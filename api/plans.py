"""What publishing would change, and publishing exactly that. Definitions come as JSON (docs/reference/journey.schema.json)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from pydantic import BaseModel, Field

from api import publishing
from api.completeness import missing_content, unannounced
from api.fingerprint import Basis, basis_of, fingerprint, news
from api.funnel import here_now
from api.publishing import JourneyChange, TemplateChange, Written
from api.strict import App, Body, Db, LongTextRoute, management
from channels.render import Renderer
from channels.templates import content_hash
from journeys.language.errors import Conflict, Invalid, Problem
from storage import journeys, outbox, providers, reports, templates
from storage.database import Connection, Database
from storage.reports import Counted

router = management("Journeys", LongTextRoute)
_DEFINITION = {"kind": "journey", "name": "onboarding", "starts_on": {"kind": "events"}, "steps": []}
_EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


class Publication(Body):
    """Everything that a house has: what is not in it is retired (journeys) or left alone (templates)."""

    journeys: list[dict[str, Any]] = Field(max_length=1000, description="definitions", examples=[[_DEFINITION]])
    templates: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="template name -> file name -> text", examples=[{"welcome": {"subject.txt": "Hello"}}]
    )
    paused: bool = Field(False, description="publish without entries: nobody enters until it is applied again without this")


class Planned(Body):
    """The plan that somebody has agreed to, as `plan` gave it."""

    fingerprint: str
    basis: Basis


class PublicationAsPlanned(Publication):
    """The same publication as was planned. Without `plan` it is published whatever is live."""

    plan: Planned | None = Field(None, description="refuse with 409, and say what has changed, unless everything is as it was then")


class StepDifferenceView(BaseModel):
    """One thing that differs from what is live."""

    kind: str = Field(description="added, removed, changed, moved or renamed", examples=["changed"])
    step: str | None = Field(description="null: the journey itself", examples=["settle_in"])
    words: str = Field(examples=["duration is 2 days, was 1 day"])
    field: str | None = Field(examples=["duration"])
    before: str | None = Field(examples=["1 day"])
    after: str | None = Field(examples=["2 days"])


class AtStepView(BaseModel):
    """People of one version at one step, as of the last count."""

    version: int
    step: str = Field(examples=["settle_in"])
    people: int
    stays: str | None = Field(description="why they could not be moved to the new version there; null: they could", examples=[None])


class JourneyChangeView(BaseModel):
    """What becomes of one journey."""

    name: str = Field(examples=["onboarding"])
    change: str = Field(description="new, changed, same, retired, or back from retirement", examples=["changed"])
    version: int | None = Field(description="live before; null when it is new")
    inside: dict[int, int] = Field(description="people inside, by version: they finish the version they entered", examples=[{2: 17}])
    entry: str = Field(description="who may enter how often", examples=["each user once in a lifetime"])
    arms: list[str] = Field(description="what a change of weights does to people's arms")
    differences: list[StepDifferenceView]
    renamed_from: str | None = Field(description="a journey that this publication retires and that has mostly the same steps")
    at_steps: list[AtStepView] = Field(description="where people are, of a journey that changes")


class TemplateChangeView(BaseModel):
    """What becomes of one template."""

    name: str = Field(examples=["welcome"])
    change: str = Field(description="new, changed or same", examples=["same"])
    version: int | None
    diff: list[str] = Field(description="lines of a unified diff of its files")


class PlanView(BaseModel):
    """What applying would change, and what to hand to `apply` so that it does exactly this."""

    journeys: list[JourneyChangeView]
    templates: list[TemplateChangeView]
    fingerprint: str
    basis: Basis
    has_worker: bool = Field(description="some worker runs, which could play it over history (POST /v1/backtests)")


class Applied(BaseModel):
    """What was changed, and which version of each is live now."""

    journeys: list[JourneyChangeView]
    templates: list[TemplateChangeView]
    versions: dict[str, int] = Field(description="journey -> live version", examples=[{"onboarding": 4}])


@dataclass(frozen=True)
class _Plan:
    written: Sequence[Written]
    changes: Sequence[JourneyChange]
    template_changes: Sequence[TemplateChange]
    basis: Basis


@router.post("/journeys/plan", summary="What would publishing change?")
async def plan(request: Request, app: App, database: Db, body: Publication) -> PlanView:
    """Check definitions and templates, and say step by step what differs from what is live. Nothing is changed.

    Hand `fingerprint` and `basis` to apply as its `plan`, so that it publishes exactly this or says what has changed meanwhile.
    """
    written = await _read(request, body)
    async with database.transaction(app) as connection:
        made = await _compare(connection, app, written, body)
        shown = [await _with_people(connection, app, change, written) for change in made.changes]
        has_worker = await outbox.has_worker(connection)
    known = fingerprint(made.basis, written, body.templates, paused=body.paused)
    return PlanView(**_views(shown, made.template_changes), fingerprint=known, basis=made.basis, has_worker=has_worker)


@router.post("/journeys/apply", summary="Publish journeys and templates")
async def apply(request: Request, app: App, database: Db, body: PublicationAsPlanned) -> Applied:
    """Publish all of it, or nothing. The same content again changes nothing.

    People inside finish the version they entered. Journeys that are not named any more are retired: nobody enters them.
    With `plan` it answers 409 and changes nothing where something has changed since that plan was made.
    """
    written = await _read(request, body)
    return await _apply(database, app, written, body)


async def _apply(database: Database, app: str, written: Sequence[Written], body: PublicationAsPlanned) -> Applied:
    async with database.transaction(app) as connection:
        await journeys.lock_publishing(connection, app)
        made = await _compare(connection, app, written, body)
        if body.plan is not None:
            _hold_to(body.plan, made, body)
        for name, files in sorted(body.templates.items()):
            await templates.publish(connection, app, name, files, content_hash(files))
        versions = {each.journey.name: await _publish(connection, app, each, paused=body.paused) for each in written}
        await journeys.retire(connection, app, [change.name for change in made.changes if change.change == "retired"])
    return Applied(**_views(made.changes, made.template_changes), versions=versions)


def _hold_to(planned: Planned, made: _Plan, body: Publication) -> None:
    """Raise Invalid when the plan is of something else than is published, Conflict when what is live is not as it was."""
    if fingerprint(planned.basis, made.written, body.templates, paused=body.paused) != planned.fingerprint:
        words = "this is not what was planned: the files, or `paused`, are others. Make a new plan"
        raise Invalid([Problem("/plan/fingerprint", "other_publication", words)])
    if changed := news(planned.basis, made.basis):
        raise Conflict(f"since this plan was made, {'; '.join(changed)}. Nothing was published: look at a new plan")


async def _compare(connection: Connection, app: str, written: Sequence[Written], body: Publication) -> _Plan:
    live = {stored.name: stored for stored in await templates.live_with_files(connection, app)}
    texts = {name: stored.files for name, stored in live.items()} | body.templates
    through = await providers.of_channel(connection, app, "push")
    found = missing_content([each.journey for each in written], texts, push_providers=through)
    found += unannounced([each.journey for each in written], await outbox.announced(connection), texts)
    if found:
        raise Invalid([Problem("/journeys", problem.code, f"{problem.pointer}: {problem.message}") for problem in found])
    definitions = {stored.journey: stored.definition for stored in await journeys.latest(connection, app)}
    states = await journeys.states(connection, app)
    is_paused = await journeys.is_app_paused(connection, app)
    return _Plan(
        written,
        publishing.compare(written, states, definitions),
        publishing.compare_templates(body.templates, live),
        basis_of(states, {name: (stored.version, stored.hash) for name, stored in live.items()}, is_paused=is_paused),
    )


async def _with_people(connection: Connection, app: str, change: JourneyChange, written: Sequence[Written]) -> JourneyChange:
    """Say where people are who are inside a journey that changes. The report's counts are read: cheap, and some seconds old."""
    if change.change not in {"changed", "back"} or not change.inside:
        return change
    new = next(each.journey for each in written if each.journey.name == change.name)
    rows = await reports.counted(connection, app, change.name, since=_EVER[0], until=_EVER[1])
    _, versions = await reports.definitions(connection, app, change.name, sorted(change.inside))
    standing = {
        (version, step): people
        for version, journey in versions.items()
        for step, people in here_now(_of_version(rows, version), {version: journey})[0].items()
    }
    return publishing.at_steps(change, standing, versions, new)


def _of_version(rows: Sequence[Counted], version: int) -> list[Counted]:
    return [row for row in rows if row.version == version]


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


def _views(changes: Sequence[JourneyChange], template_changes: Sequence[TemplateChange]) -> Mapping[str, Any]:
    return {
        "journeys": [_journey_view(change) for change in changes],
        "templates": [TemplateChangeView(**(vars(change) | {"diff": list(change.diff)})) for change in template_changes],
    }


def _journey_view(change: JourneyChange) -> JourneyChangeView:
    nested = {
        "arms": list(change.arms),
        "differences": [StepDifferenceView(**vars(each)) for each in change.differences],
        "at_steps": [AtStepView(**vars(each)) for each in change.at_steps],
    }
    return JourneyChangeView(**(vars(change) | nested))
