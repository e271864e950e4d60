"""Sources: outside data that templates look up. What is live, publishing one, its rows and its secret headers, and asking one for a key."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import Path, Request
from pydantic import BaseModel, Field

from activities.sources import SourceAway, Sources
from api import source_publishing
from api.paging import Cursor, Limit, Page, number, page_of, position, text
from api.source_publishing import ReadRows, WrittenSource
from api.strict import App, Body, Db, LongTextRoute, ReadingApp, Word, management
from channels.lookups import origin_of
from channels.render import RenderFailed
from journeys.language.errors import ConfigurationError, Conflict, Invalid, NotFound, Problem, Refused
from journeys.language.sources import Http
from settings import Settings
from storage import journeys, sources
from storage.database import Connection
from storage.sealing import Seal
from storage.sources import StoredSource

router = management("Sources", LongTextRoute)
SourceName = Annotated[Word, Path(description="the source's name", examples=["product"])]
DEFINITION = {"origin": {"kind": "http", "url": "https://api.example.com/products/{key}", "headers": ["Authorization"]}, "failing": "skip"}
_LONGEST_HEADER = 4000


class SourceView(BaseModel):
    """A source as it is now."""

    name: str = Field(examples=["product"])
    kind: Literal["http", "table", "rows"]
    version: int = Field(examples=[3])
    hash: str = Field(description="SHA-256 of its definition")
    words: str = Field(examples=["GET https://example.com/p/{key}, remembered for 5 minutes; messages are skipped when it fails"])
    rows: int | None = Field(description="how many are kept here; null for one that keeps none", examples=[None])
    rows_at: datetime | None = Field(description="since when these")
    headers: list[str] = Field(description="secret headers that are set", examples=[["Authorization"]])
    templates: list[str] = Field(description="whose live version asks it", examples=[["order-shipped"]])
    published_at: datetime
    updated_at: datetime


class SourceWithDefinition(SourceView):
    """A source with its definition."""

    definition: dict[str, Any] = Field(examples=[DEFINITION])


class SourceVersionView(BaseModel):
    """One published version; it never changes."""

    version: int
    is_live: bool
    hash: str
    words: str = Field(examples=["rows kept here by sku; messages are skipped when it fails"])
    definition: dict[str, Any] = Field(examples=[DEFINITION])
    published_at: datetime


class SourceBody(Body):
    """What a source is."""

    definition: dict[str, Any] = Field(description="origin, failing, default, wait_at_most, as in Python", examples=[DEFINITION])


class RowsBody(Body):
    """All rows of a source, as CSV or as objects: what was there before goes."""

    csv: str | None = Field(None, description="the first line names the columns", examples=["sku,name\nA-17,Chair\n"])
    rows: list[dict[str, Any]] | None = Field(None, description="objects, each with the key among its members")


class HeadersBody(Body):
    """The secret headers of a source that asks over HTTP, all of them."""

    headers: dict[str, str] = Field(max_length=10, description="name -> value", examples=[{"Authorization": "Bearer ..."}])


class LookOrder(Body):
    """What to ask."""

    key: Annotated[str, Field(min_length=1, max_length=source_publishing.LONGEST_KEY, examples=["A-17"])]


class Looked(BaseModel):
    """What a template would get."""

    verdict: Literal["found", "absent", "failed"] = Field(description="found also where its default stands in")
    row: Any = Field(examples=[{"name": "Chair"}])
    words: str = Field(description="why it failed", examples=[""])


@router.get("/sources", summary="List sources")
async def list_sources(app: App, database: Db, limit: Limit = 50, cursor: Cursor = None) -> Page[SourceView]:
    """By name."""
    after = position(cursor, text)
    async with database.transaction(app) as connection:
        rows = await sources.page(connection, app, after=after[0] if after else None, most=limit + 1)
        kept, following = page_of(rows, limit, lambda row: [row.name])
        return Page(items=[SourceView(**await _members(connection, app, row)) for row in kept], next=following)


@router.get("/sources/{name}", summary="Get a source")
async def get_source(app: App, database: Db, name: SourceName) -> SourceWithDefinition:
    """As it is now."""
    async with database.transaction(app) as connection:
        return await _whole(connection, app, name)


@router.get("/sources/{name}/versions", summary="List a source's versions")
async def list_source_versions(
    app: App, database: Db, name: SourceName, limit: Limit = 50, cursor: Cursor = None
) -> Page[SourceVersionView]:
    """The newest first. To go back, publish the definition of an older one: it gets its number again."""
    before = position(cursor, number)
    async with database.transaction(app) as connection:
        live = await _existing(connection, app, name)
        rows = await sources.versions(connection, app, name, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.version])
    return Page(items=[_version(row, live) for row in kept], next=following)


@router.put("/sources/{name}", summary="Publish a source")
async def put_source(request: Request, app: App, database: Db, name: SourceName, body: SourceBody) -> SourceWithDefinition:
    """It is live at once, and workers know it within five seconds. The same again is the same version. Rows and headers stay."""
    written = source_publishing.read(name, body.definition, "/definition")
    async with database.transaction(app) as connection:
        await journeys.lock_publishing(connection, app)
        await publish(connection, app, [written])
        answer = await _whole(connection, app, name)
    _forget(request, app)
    return answer


@router.put("/sources/{name}/rows", summary="Replace the rows of a source")
async def put_rows(request: Request, app: App, database: Db, name: SourceName, body: RowsBody) -> SourceView:
    """All of them, in one transaction: a message sees the old ones or the new ones. Refused as a whole where a row is wrong."""
    async with database.transaction(app) as connection:
        await journeys.lock_publishing(connection, app)
        stored = await _existing(connection, app, name)
        read = _rows(stored, body)
        await sources.put_rows(connection, app, name, read.rows, read.hash)
        answer = SourceView(**await _members(connection, app, await _existing(connection, app, name)))
    _forget(request, app)
    return answer


@router.put("/sources/{name}/headers", summary="Set the secret headers of a source")
async def put_headers(request: Request, app: App, database: Db, name: SourceName, body: HeadersBody) -> SourceView:
    """All of them. They are sealed, shown to nobody, and sent only to the host that the source has now: another host needs them anew."""
    settings: Settings = request.app.state.settings
    async with database.transaction(app) as connection:
        stored = await _existing(connection, app, name)
        origin = stored.source.origin
        if not isinstance(origin, Http):
            raise Invalid([Problem("/headers", "no_headers", "only a source that asks over HTTP has headers")])
        _must_be_headers(origin, body)
        try:
            seal = Seal(settings.plain_credential_keys)
            await sources.put_headers(connection, app, name, seal, origin_of(origin.url), body.headers)
        except ConfigurationError as error:
            raise Refused(str(error)) from error
        answer = SourceView(**await _members(connection, app, await _existing(connection, app, name)))
    _forget(request, app)
    return answer


@router.post("/sources/{name}/look", summary="Ask a source for a key")
async def look(request: Request, app: ReadingApp, database: Db, name: SourceName, body: LookOrder) -> Looked:
    """What a template would get for this key now; what is remembered counts too."""
    async with database.transaction(app) as connection:
        await _existing(connection, app, name)
    asked: Sources = request.app.state.sources
    try:
        row = await asked.look(app, name, body.key)
    except RenderFailed as failed:
        return Looked(verdict="failed", row=None, words=failed.why)
    except SourceAway as away:
        return Looked(verdict="failed", row=None, words=str(away))
    return Looked(verdict="absent" if row is None else "found", row=row, words="")


@router.delete("/sources/{name}", status_code=204, summary="Delete a source")
async def delete_source(request: Request, app: App, database: Db, name: SourceName) -> None:
    """With its versions, rows and headers. Refused while the live version of a template asks it."""
    async with database.transaction(app) as connection:
        await journeys.lock_publishing(connection, app)
        await _existing(connection, app, name)
        if using := await sources.templates_that_ask(connection, app, name):
            raise Conflict(f"this source is asked by {', '.join(using)}: change them first. Nothing was deleted")
        await sources.remove(connection, app, name)
    _forget(request, app)


async def publish(connection: Connection, app: str, written: Sequence[WrittenSource]) -> None:
    """Publish sources that were read, with the rows that came along, under the lock of publishing."""
    known = {each.name: each for each in await sources.live(connection, app)}
    for each in written:
        await sources.publish(connection, app, each.name, each.text, each.hash)
        stored = known.get(each.name)
        if each.rows is not None and (stored is None or stored.rows_hash != each.rows.hash):
            await sources.put_rows(connection, app, each.name, each.rows.rows, each.rows.hash)


async def must_have(connection: Connection, app: str, template: str, asked: Sequence[str], place: str) -> None:
    """Raises Invalid where a template asks a source that the app does not have."""
    names = [each.name for each in await sources.live(connection, app)] if asked else []
    if found := source_publishing.lacking({template: asked}, names):
        raise Invalid([Problem(place, each.code, each.message) for each in found])


def _rows(stored: StoredSource, body: RowsBody) -> ReadRows:
    if body.csv is not None and body.rows is None:
        return source_publishing.rows_of_csv(stored.source, body.csv, "/csv")
    if body.rows is not None and body.csv is None:
        return source_publishing.rows_of_json(stored.source, body.rows, "/rows")
    raise Invalid([Problem("/csv", "one_of_both", "give csv or rows")])


def _must_be_headers(origin: Http, body: HeadersBody) -> None:
    known = {name.lower(): name for name in origin.headers}
    found = [
        Problem("/headers", "unknown_header", f"the source names {', '.join(origin.headers) or 'none'} as its headers")
        for name in body.headers
        if name not in known.values()
    ]
    found += [
        Problem("/headers", "bad_value", "a value is printable ASCII, without spaces around it")
        for value in body.headers.values()
        if not (value.isascii() and value.isprintable() and value == value.strip() and 0 < len(value) <= _LONGEST_HEADER)
    ]
    if found:
        raise Invalid(found)


def _forget(request: Request, app: str) -> None:
    asked: Sources = request.app.state.sources
    asked.forget(app)


async def _existing(connection: Connection, app: str, name: str) -> StoredSource:
    row = await sources.get(connection, app, name)
    if row is None:
        raise NotFound("no such source")
    return row


async def _whole(connection: Connection, app: str, name: str) -> SourceWithDefinition:
    row = await _existing(connection, app, name)
    return SourceWithDefinition(**await _members(connection, app, row), definition=orjson.loads(row.definition))


async def _members(connection: Connection, app: str, row: StoredSource) -> dict[str, Any]:
    source = row.source
    return {
        "name": row.name,
        "kind": source.origin.kind,
        "version": row.version,
        "hash": row.hash,
        "words": source_publishing.words(source),
        "rows": row.row_count if source.origin.kind == "rows" else None,
        "rows_at": row.rows_at,
        "headers": list(row.secret),
        "templates": await sources.templates_that_ask(connection, app, row.name),
        "published_at": row.published_at,
        "updated_at": row.updated_at,
    }


def _version(row: sources.SourceVersion, live: StoredSource) -> SourceVersionView:
    words = source_publishing.words(sources.read(row.definition))
    return SourceVersionView(**{**vars(row), "definition": orjson.loads(row.definition)}, is_live=row.version == live.version, words=words)
