"""Templates: what is live, every version, publishing one, going back to an older one, and how a message would look."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from activities.knowledge import located_in
from activities.sources import SourceAway, Sources
from api import idempotency, publishing, sources
from api.completeness import missing_around, missing_content
from api.idempotency import IdempotencyKey
from api.paging import Cursor, Limit, Page, number, page_of, position, text
from api.strict import App, Body, Channel, Db, LongTextRoute, ReadingApp, Word, management
from channels.base import Content
from channels.render import Renderer, RenderFailed
from channels.templates import channels_of, content_hash, remarks, settings
from journeys.language.codec import from_json
from journeys.language.errors import Invalid, NotFound, Problem
from storage import apps, campaigns, journeys, knowing, people, providers, templates
from storage.database import Connection
from storage.standing import Person
from storage.templates import StoredTemplate

router = management("Templates", LongTextRoute)
Name = Annotated[Word, Path(description="the template's name", examples=["welcome"])]
Version = Annotated[int, Path(description="the version's number", ge=1, lt=2**31, examples=[3])]
_FILES = {"subject.txt": "Welcome, {{ user.first_name | default('you') }}", "body.txt": "Hello. {{ links.unsubscribe }}"}


class TemplateView(BaseModel):
    """One version of a template, without its files."""

    name: str = Field(examples=["welcome"])
    version: int = Field(examples=[3])
    is_live: bool = Field(description="a Send uses this version now")
    channels: list[str] = Field(description="what it has content for", examples=[["email", "push"]])
    sources: list[str] = Field(description="what it looks up outside", examples=[["product"]])
    hash: str = Field(description="SHA-256 of its files")
    published_at: datetime


class TemplateWithFiles(TemplateView):
    """One version of a template; it never changes."""

    files: dict[str, str] = Field(description="file name -> text", examples=[_FILES])


class NewVersion(Body):
    """The files of the template, all of them."""

    files: dict[str, str] = Field(description="file name -> text", examples=[_FILES])


class Activation(Body):
    """Which version is to be live."""

    version: int = Field(ge=1, lt=2**31, examples=[2])


class PreviewOrder(Body):
    """What to show. What is not given comes from the sample in template.toml."""

    channel: Channel
    version: int | None = Field(None, ge=1, lt=2**31, description="the live one, if not given", examples=[3])
    user_id: Word | None = Field(None, description="whose attributes are `user`, and in whose language and zone", examples=["user-4711"])
    locale: Word | None = Field(None, description="in which language; the user's, if not given", examples=["de-AT"])
    data: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="roots of variables: user, device, entry, captured, app, links; source: rows by source and key",
        examples=[{"entry": {"order_id": "A-17"}}],
    )


class RemarkView(BaseModel):
    """One thing that its author should know of a message."""

    part: str = Field(examples=["html"])
    code: str = Field(examples=["clipped"])
    message: str = Field(examples=["the HTML is 140 KB; Gmail cuts it at 102 KB, and the link to leave may be behind the cut: shorten it"])


class Preview(BaseModel):
    """How the message would leave."""

    version: int
    parts: dict[str, Any] = Field(description="the fields of the channel", examples=[{"subject": "Welcome, Ann", "text": "Hello."}])
    sizes: dict[str, int] = Field(description="of the texts among them, in bytes", examples=[{"html": 4711, "text": 812}])
    remarks: list[RemarkView] = Field(description="what mail programs, filters of spam and dark screens stumble over; what a text costs")


@router.get("/templates", summary="List templates")
async def list_templates(app: App, database: Db, limit: Limit = 50, cursor: Cursor = None) -> Page[TemplateView]:
    """The live version of each, by name."""
    after = position(cursor, text)
    async with database.transaction(app) as connection:
        rows = await templates.page(connection, app, after=after[0] if after else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.name])
    return Page(items=[_view(row, row.version) for row in kept], next=following)


@router.get("/templates/{name}", summary="Get a template")
async def get_template(app: App, database: Db, name: Name) -> TemplateWithFiles:
    """The version that a Send uses now, with its files."""
    async with database.transaction(app) as connection:
        row = await _live(connection, app, name)
    return _whole(row, row.version)


@router.get("/templates/{name}/versions", summary="List a template's versions")
async def list_versions(app: App, database: Db, name: Name, limit: Limit = 50, cursor: Cursor = None) -> Page[TemplateView]:
    """The newest first."""
    before = position(cursor, number)
    async with database.transaction(app) as connection:
        live = await _live(connection, app, name)
        rows = await templates.versions(connection, app, name, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.version])
    return Page(items=[_view(row, live.version) for row in kept], next=following)


@router.get("/templates/{name}/versions/{version}", summary="Get one version of a template")
async def get_version(app: App, database: Db, name: Name, version: Version) -> TemplateWithFiles:
    """Its files, as they were published: what a message's `template_version` points to."""
    async with database.transaction(app) as connection:
        live = await _live(connection, app, name)
        return _whole(await _version(connection, app, name, version), live.version)


@router.post("/templates/{name}/versions", status_code=201, summary="Publish a version", response_model=TemplateWithFiles)
async def publish_version(
    request: Request, app: App, database: Db, name: Name, body: NewVersion, idempotency_key: IdempotencyKey = None
) -> Response:
    """It is live at once, if it passes what `sojourn check` asks, live journeys included. The same files again are the same version."""
    key = idempotency.named(idempotency_key)
    asked = await _check(request.app.state.renderer, name, body.files)

    async def work() -> TemplateWithFiles:
        await journeys.lock_publishing(connection, app)
        await _must_serve(connection, app, name, body.files)
        await sources.must_have(connection, app, name, asked, "/files")
        version = await templates.publish(connection, app, name, body.files, content_hash(body.files), asked)
        return _whole(await _version(connection, app, name, version), version)

    async with database.transaction(app) as connection:
        return await idempotency.once(connection, app, request, key, body=body, status=201, work=work)


@router.post("/templates/{name}/activate", summary="Make another version live")
async def activate_version(app: App, database: Db, name: Name, body: Activation) -> TemplateWithFiles:
    """Go back to an older version, or forward again: what is sent from now on uses it. Live journeys must find what they send in it."""
    async with database.transaction(app) as connection:
        await journeys.lock_publishing(connection, app)
        await _live(connection, app, name)
        chosen = await templates.version(connection, app, name, body.version)
        if chosen is None:
            raise Invalid([Problem("/version", "no_such_version", "this template has no version of that number")])
        await _must_serve(connection, app, name, chosen.files)
        await sources.must_have(connection, app, name, chosen.sources, "/version")
        await templates.activate(connection, app, name, body.version)
    return _whole(chosen, chosen.version)


@router.post("/templates/{name}/preview", summary="How would a message look?")
async def preview(request: Request, app: ReadingApp, database: Db, name: Name, body: PreviewOrder) -> Preview:
    """Fill a template in with its sample, somebody's attributes, or what you give. Nothing is sent.

    What it looks up in sources comes from `[sample.source]` and `data.source` where they hold the key, else from the sources themselves.
    """
    async with database.transaction(app) as connection:
        row = await _live(connection, app, name)
        if body.version is not None:
            row = await _version(connection, app, name, body.version)
        variables = await variables_for(connection, app, row, body)
    content = await rendered(request, app, row, body.channel, variables)
    sizes = {part: len(said.encode()) for part, said in content.parts.items() if isinstance(said, str)}
    found = [RemarkView(**vars(remark)) for remark in remarks(body.channel, content.parts)]
    return Preview(version=row.version, parts=dict(content.parts), sizes=sizes, remarks=found)


async def filled(request: Request, app: str, row: StoredTemplate, channel: str, variables: Mapping[str, Any]) -> Content:
    """A template filled in, with what its sources give where the variables have no row of theirs. Raises RenderFailed and SourceAway."""
    renderer: Renderer = request.app.state.renderer
    outside: Sources = request.app.state.sources

    async def render(rows: Mapping[str, Any]) -> Content:
        return await renderer.render(row.name, row.version, row.files, channel, {**variables, "source": rows})

    return await outside.filled(app, render, variables["source"])


async def rendered(request: Request, app: str, row: StoredTemplate, channel: str, variables: Mapping[str, Any]) -> Content:
    """The same as an answer. Raises Invalid."""
    try:
        return await filled(request, app, row, channel, variables)
    except RenderFailed as failed:
        raise Invalid([Problem("", failed.code.partition(":")[0], failed.why or failed.code)]) from failed
    except SourceAway as away:
        raise Invalid([Problem("", "source_away", f"{away}: a message would wait for it")]) from away


async def variables_for(connection: Connection, app: str, row: StoredTemplate, body: PreviewOrder) -> dict[str, Any]:
    """The variables of a preview: the sample of the template, or what is known of a user."""
    sample = dict(settings(row.files).sample or {})
    own = await apps.settings(connection, app)
    roots: dict[str, Any] = {
        "user": sample.get("user", {}),
        "device": sample.get("device", {}),
        "entry": sample.get("entry", {}),
        "captured": sample.get("captured", {}),
        "visit": sample.get("visit", 1),
        "links": {
            "unsubscribe": "https://example.com/unsubscribe",
            "preferences": "https://example.com/preferences",
            **sample.get("links", {}),
        },
        "app": {"name": await apps.name(connection, app), **own, **sample.get("app", {})},
        "source": sample.get("source", {}),
        "locale": body.locale,
        "zone": sample.get("zone", "UTC"),
    }
    if body.user_id is not None:
        person = await people.person(connection, app, body.user_id)
        roots["user"] = {**person.attributes, "user_id": person.user_id}
        roots["device"] = await knowing.device(connection, app, person.id, body.channel) or {}
        roots["zone"] = (await located_in(connection, app, Person(person.id, person.user_id, person.attributes, person.timezone))).zone.key
        roots["locale"] = body.locale or person.locale or person.attributes.get("locale")
    return roots | {root: {**_table(roots.get(root)), **given} for root, given in body.data.items()}


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


async def _check(renderer: Renderer, name: str, files: Mapping[str, str]) -> list[str]:
    """The sources that the files ask. Raises Invalid with everything that is wrong with them."""
    if found := publishing.name_problems({name: files}):
        raise Invalid(found)
    vetted = await renderer.vet(name, files)
    if vetted.problems:
        raise Invalid([replace(each, pointer=each.pointer.replace(f"templates/{name}", "/files", 1)) for each in vetted.problems])
    return vetted.sources


async def _must_serve(connection: Connection, app: str, name: str, files: Mapping[str, str]) -> None:
    """Raises Invalid when a live journey, or a campaign, would no longer find what it sends."""
    live = [from_json(stored.definition) for stored in await journeys.live(connection, app)]
    # The other templates are not at stake, so that they are not here says nothing.
    through = await providers.of_channel(connection, app, "push")
    found = missing_content(live, {name: files}, push_providers=through)
    needed = [each for stored in await campaigns.all_of(connection, app) for each in stored.needed]
    found += missing_around(needed, {name: files}, push_providers=through)
    lacking = [problem for problem in found if problem.code != "no_template"]
    if lacking:
        raise Invalid([Problem("/files", problem.code, f"{problem.pointer}: {problem.message}") for problem in lacking])


async def _live(connection: Connection, app: str, name: str) -> StoredTemplate:
    row = await templates.live(connection, app, name)
    if row is None:
        raise NotFound("no such template")
    return row


async def _version(connection: Connection, app: str, name: str, version: int) -> StoredTemplate:
    row = await templates.version(connection, app, name, version)
    if row is None:
        raise NotFound("no such version")
    return row


def _view(row: StoredTemplate, live: int) -> TemplateView:
    return TemplateView(**_members(row, live))


def _whole(row: StoredTemplate, live: int) -> TemplateWithFiles:
    return TemplateWithFiles(**_members(row, live), files=row.files)


def _members(row: StoredTemplate, live: int) -> dict[str, Any]:
    kept = {name: value for name, value in vars(row).items() if name != "files"}
    return {**kept, "is_live": row.version == live, "channels": list(channels_of(row.files))}
