"""What publishing would change, and publishing exactly that. Definitions come as JSON (docs/reference/journey.schema.json)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from pydantic import BaseModel, Field

from api import campaign_publishing, publishing, segment_publishing, source_publishing
from api import sources as source_desk
from api.campaign_publishing import CampaignChange, Surroundings, WrittenCampaign
from api.campaigns import DEFINITION, around
from api.campaigns import publish as publish_campaigns
from api.completeness import missing_content, unannounced
from api.fingerprint import Basis, basis_of, fingerprint, news
from api.funnel import here_now
from api.publishing import JourneyChange, TemplateChange, Written
from api.segment_publishing import SegmentChange, WrittenSegment
from api.segments import CONDITION, must_run
from api.source_publishing import SourceChange, WrittenSource
from api.sources import DEFINITION as SOURCE
from api.strict import App, Body, Db, LongTextRoute, Who, management
from channels.render import Renderer
from channels.templates import content_hash
from journeys.language.errors import Conflict, Invalid, Problem
from storage import campaigns, enrollments, journeys, outbox, providers, reports, segments, sources, templates
from storage.database import Connection, Database
from storage.reports import Counted
from storage.segments import StoredSegment
from storage.sources import StoredSource

router = management("Journeys", LongTextRoute)
_DEFINITION = {"kind": "journey", "name": "onboarding", "starts_on": {"kind": "events"}, "steps": []}
_EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


class PublishedSource(Body):
    """A source, and the CSV of its rows where it comes with one; without it they stay as they are."""

    definition: dict[str, Any] = Field(examples=[SOURCE])
    csv: str | None = Field(None, examples=["sku,name\nA-17,Chair\n"])


class Publication(Body):
    """Everything that a house has: what is not in it is retired (journeys) or left alone (templates, segments, sources, campaigns)."""

    journeys: list[dict[str, Any]] = Field(max_length=1000, description="definitions", examples=[[_DEFINITION]])
    templates: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="template name -> file name -> text", examples=[{"welcome": {"subject.txt": "Hello"}}]
    )
    segments: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="segment name -> condition", examples=[{"lapsed": CONDITION}]
    )
    sources: dict[str, PublishedSource] = Field(
        default_factory=dict, description="source name -> definition and rows", examples=[{"product": {"definition": SOURCE}}]
    )
    campaigns: list[dict[str, Any]] = Field(
        default_factory=list, max_length=1000, description="definitions; nothing is sent by publishing", examples=[[DEFINITION]]
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


class SegmentChangeView(BaseModel):
    """What becomes of one segment."""

    name: str = Field(examples=["lapsed"])
    change: str = Field(description="new, changed or same", examples=["changed"])
    version: int | None = Field(description="live before; null when it is new")
    before: str | None = Field(description="who was in it", examples=["did not do order_placed in the last 60 days"])
    after: str = Field(description="who will be", examples=["did not do order_placed in the last 90 days"])
    warnings: list[str] = Field(description="what of its condition makes it slow to count", examples=[[]])


class SourceChangeView(BaseModel):
    """What becomes of one source."""

    name: str = Field(examples=["product"])
    change: str = Field(description="new, changed or same", examples=["changed"])
    version: int | None = Field(description="live before; null when it is new")
    words: str = Field(description="what differs, or what it is", examples=["1,204 rows, was 1,180"])


class CampaignChangeView(BaseModel):
    """What becomes of one campaign. What is launched stays as it was launched."""

    name: str = Field(examples=["spring-sale"])
    change: str = Field(description="new, changed or same", examples=["changed"])
    version: int | None = Field(description="published last; null when it is new")
    differences: list[str] = Field(examples=[["segment is golden, was lapsed"]])


class PlanView(BaseModel):
    """What applying would change, and what to hand to `apply` so that it does exactly this."""

    journeys: list[JourneyChangeView]
    templates: list[TemplateChangeView]
    segments: list[SegmentChangeView]
    sources: list[SourceChangeView]
    campaigns: list[CampaignChangeView]
    fingerprint: str
    basis: Basis
    has_worker: bool = Field(description="some worker runs, which could play it over history (POST /v1/backtests)")


class Applied(BaseModel):
    """What was changed, and which version of each is live now."""

    journeys: list[JourneyChangeView]
    templates: list[TemplateChangeView]
    segments: list[SegmentChangeView]
    sources: list[SourceChangeView]
    campaigns: list[CampaignChangeView]
    versions: dict[str, int] = Field(description="journey -> live version", examples=[{"onboarding": 4}])


@dataclass(frozen=True)
class _Read:
    journeys: Sequence[Written]
    segments: Sequence[WrittenSegment]
    sources: Sequence[WrittenSource]
    asked: Mapping[str, Sequence[str]]
    """The sources that each template asks."""
    campaigns: Sequence[WrittenCampaign]


@dataclass(frozen=True)
class _Plan:
    read: _Read
    changes: Sequence[JourneyChange]
    template_changes: Sequence[TemplateChange]
    segment_changes: Sequence[SegmentChange]
    source_changes: Sequence[SourceChange]
    campaign_changes: Sequence[CampaignChange]
    basis: Basis


@router.post("/journeys/plan", summary="What would publishing change?")
async def plan(request: Request, app: App, database: Db, body: Publication) -> PlanView:
    """Check definitions and templates, and say step by step what differs from what is live. Nothing is changed.

    Hand `fingerprint` and `basis` to apply as its `plan`, so that it publishes exactly this or says what has changed meanwhile.
    """
    read = await _read(request, body)
    async with database.transaction(app) as connection:
        made = await _compare(connection, app, read, body)
        shown = [await _with_people(connection, app, change, read.journeys) for change in made.changes]
        has_worker = await outbox.has_worker(connection)
    known = _fingerprint(made.basis, made, body)
    return PlanView(**_views(replace(made, changes=shown)), fingerprint=known, basis=made.basis, has_worker=has_worker)


@router.post("/journeys/apply", summary="Publish journeys, segments, sources, campaigns and templates")
async def apply(request: Request, app: App, database: Db, who: Who, body: PublicationAsPlanned) -> Applied:
    """Publish all of it, or nothing. The same content again changes nothing.

    People inside finish the version they entered. Journeys that are not named any more are retired: nobody enters them. Campaigns that are
    new are drafts, and those that are launched go on as they were launched.
    With `plan` it answers 409 and changes nothing where something has changed since that plan was made.
    """
    read = await _read(request, body)
    applied = await _apply(database, app, read, body, who)
    request.app.state.sources.forget(app)
    return applied


async def _apply(database: Database, app: str, read: _Read, body: PublicationAsPlanned, who: str) -> Applied:
    async with database.transaction(app) as connection:
        await journeys.lock_publishing(connection, app)
        made = await _compare(connection, app, read, body)
        if body.plan is not None:
            _hold_to(body.plan, made, body)
        for name, files in sorted(body.templates.items()):
            await templates.publish(connection, app, name, files, content_hash(files), read.asked[name])
        await source_desk.publish(connection, app, read.sources)
        for segment in read.segments:
            await segments.publish(connection, app, segment.name, segment.text, segment.hash, segment.mentions)
        await publish_campaigns(connection, app, read.campaigns, who)
        versions = {each.journey.name: await _publish(connection, app, each, paused=body.paused) for each in read.journeys}
        await journeys.retire(connection, app, [change.name for change in made.changes if change.change == "retired"])
    return Applied(**_views(made), versions=versions)


def _hold_to(planned: Planned, made: _Plan, body: Publication) -> None:
    """Raise Invalid when the plan is of something else than is published, Conflict when what is live is not as it was."""
    if _fingerprint(planned.basis, made, body) != planned.fingerprint:
        words = "this is not what was planned: the files, or `paused`, are others. Make a new plan"
        raise Invalid([Problem("/plan/fingerprint", "other_publication", words)])
    if changed := news(planned.basis, made.basis):
        raise Conflict(f"since this plan was made, {'; '.join(changed)}. Nothing was published: look at a new plan")


def _fingerprint(basis: Basis, made: _Plan, body: Publication) -> str:
    published = made.read
    return fingerprint(
        basis, published.journeys, body.templates, published.segments, published.sources, published.campaigns, paused=body.paused
    )


async def _compare(connection: Connection, app: str, read: _Read, body: Publication) -> _Plan:
    written = read.journeys
    known = await _with_segments(connection, app, read)
    outside = await _with_sources(connection, app, read)
    live = {stored.name: stored for stored in await templates.live_with_files(connection, app)}
    texts = {name: stored.files for name, stored in live.items()} | body.templates
    through = await providers.of_channel(connection, app, "push")
    found = missing_content([each.journey for each in written], texts, push_providers=through)
    found += _lacking(read, await around(connection, app), texts)
    sent = [each.campaign for each in read.campaigns]
    found += unannounced([each.journey for each in written], await outbox.announced(connection), texts, sent)
    if found:
        raise Invalid([Problem("/journeys", problem.code, f"{problem.pointer}: {problem.message}") for problem in found])
    kept = await campaigns.all_of(connection, app)
    definitions = {stored.journey: stored.definition for stored in await journeys.latest(connection, app)}
    if past := publishing.gone_by(written, definitions, await enrollments.database_now(connection)):
        raise Invalid(past)
    states = await journeys.states(connection, app)
    is_paused = await journeys.is_app_paused(connection, app)
    return _Plan(
        read,
        publishing.compare(written, states, definitions),
        publishing.compare_templates(body.templates, live),
        segment_publishing.compare(read.segments, known),
        source_publishing.compare(read.sources, outside),
        campaign_publishing.compare(read.campaigns, kept),
        basis_of(states, live, known, outside, kept, is_paused=is_paused),
    )


def _lacking(read: _Read, surroundings: Surroundings, texts: Mapping[str, Mapping[str, str]]) -> list[Problem]:
    """What the campaigns lack, once segments and templates are published that come with them."""
    named = {**surroundings.segments, **{each.name: each.condition for each in read.segments}}
    return campaign_publishing.lacking(read.campaigns, replace(surroundings, segments=named, templates=texts))


async def _with_segments(connection: Connection, app: str, read: _Read) -> Sequence[StoredSegment]:
    """The segments that are live. Raises Invalid where they do not fit those that come, or the journeys that name them."""
    live = await segments.live(connection, app)
    found = segment_publishing.together(read.segments, live)
    definitions = segment_publishing.defined(read.segments, live)
    written = [each.journey for each in read.journeys]
    lacking = segment_publishing.not_there(written, definitions) + segment_publishing.not_noticed(written, definitions)
    found += [Problem("/journeys", each.code, f"{each.pointer}: {each.message}") for each in lacking]
    if found:
        raise Invalid(found)
    await must_run(connection, app, read.segments)
    return live


async def _with_sources(connection: Connection, app: str, read: _Read) -> Sequence[StoredSource]:
    """The sources that are live. Raises Invalid where templates ask one that is nowhere."""
    live = await sources.live(connection, app)
    names = {each.name for each in read.sources} | {each.name for each in live}
    if found := source_publishing.lacking(read.asked, names):
        raise Invalid([replace(each, pointer=f"/{each.pointer}") for each in found])
    return live


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


async def _read(request: Request, body: Publication) -> _Read:
    """Read and check all that needs no database. Raises Invalid with everything that is wrong."""
    found = publishing.name_problems(body.templates)
    renderer: Renderer = request.app.state.renderer
    asked: dict[str, Sequence[str]] = {}
    for name, files in body.templates.items() if not found else ():
        vetted = await renderer.vet(name, files)
        found += [replace(problem, pointer=f"/{problem.pointer}") for problem in vetted.problems]
        asked[name] = vetted.sources
    if found:
        raise Invalid(found)
    outside = source_publishing.read_all({name: (each.definition, each.csv) for name, each in body.sources.items()})
    campaigns_read = campaign_publishing.read_all(body.campaigns)
    return _Read(publishing.read(body.journeys), segment_publishing.read_all(body.segments), outside, asked, campaigns_read)


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


def _views(made: _Plan) -> Mapping[str, Any]:
    return {
        "journeys": [_journey_view(change) for change in made.changes],
        "templates": [TemplateChangeView(**(vars(change) | {"diff": list(change.diff)})) for change in made.template_changes],
        "segments": [SegmentChangeView(**vars(change)) for change in made.segment_changes],
        "sources": [SourceChangeView(**vars(change)) for change in made.source_changes],
        "campaigns": [CampaignChangeView(**(vars(change) | {"differences": list(change.differences)})) for change in made.campaign_changes],
    }


def _journey_view(change: JourneyChange) -> JourneyChangeView:
    nested = {
        "arms": list(change.arms),
        "differences": [StepDifferenceView(**vars(each)) for each in change.differences],
        "at_steps": [AtStepView(**vars(each)) for each in change.at_steps],
    }
    return JourneyChangeView(**(vars(change) | nested))
