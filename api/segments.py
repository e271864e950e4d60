"""Segments: what is live, publishing one, every version, and removing one that nothing uses. Who is in them is in segment_people.py."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import Path
from pydantic import BaseModel, Field

from api import segment_publishing
from api.paging import Cursor, Limit, Page, number, page_of, position, text
from api.strict import App, Body, Db, LongTextRoute, Word, management
from journeys.language.check_segments import costly
from journeys.language.codec import from_json
from journeys.language.describe import condition_words
from journeys.language.errors import Conflict, Invalid, NotFound, Problem
from storage import campaigns, journeys, segment_people, segments
from storage.database import Connection
from storage.segment_people import SqlFailed, TooSlow
from storage.segments import StoredSegment

router = management("Segments", LongTextRoute)
SegmentName = Annotated[Word, Path(description="the segment's name", examples=["lapsed"])]
CONDITION = {
    "kind": "not",
    "part": {"kind": "did", "event": "order_placed", "last": {"kind": "duration", "seconds": 7776000}},
}


class MentionsView(BaseModel):
    """What a condition is about. What the segments mention that it names is theirs."""

    events: list[str] = Field(examples=[["order_placed"]])
    attributes: list[str] = Field(description="dotted paths", examples=[["plan"]])
    segments: list[str] = Field(examples=[[]])
    reads: list[str] = Field(description="what else it looks at: endpoints, consents, messages, sql", examples=[["endpoints"]])
    moves_with_time: bool = Field(description="people may come in or go out though nothing happens")


class SegmentView(BaseModel):
    """A segment as it is now."""

    name: str = Field(examples=["lapsed"])
    kind: Literal["dynamic", "static"] = Field(description="dynamic: everybody of whom the condition holds; static: a list of people")
    version: int | None = Field(description="the live one; null for a static one", examples=[3])
    hash: str | None = Field(description="SHA-256 of its condition")
    words: str = Field(description="who is in it", examples=["did not do order_placed in the last 90 days"])
    mentions: MentionsView | None
    frozen_from: str | None = Field(description="of a static one: the segment whose people it holds", examples=[None])
    frozen_version: int | None
    frozen_at: datetime | None = Field(description="as of when; null while a job still puts people on the list")
    published_at: datetime | None
    updated_at: datetime
    followed_at: datetime | None = Field(
        description="since when coming in and going out is told to journeys; null: none listens, or everybody is just being read"
    )


class SegmentWithCondition(SegmentView):
    """A segment with its condition."""

    condition: dict[str, Any] | None = Field(description="as in a journey; null for a static one", examples=[CONDITION])
    warnings: list[str] = Field(
        description="what of its condition makes it slow to count; what the segments that it names ask stands with them", examples=[[]]
    )


class SegmentVersionView(BaseModel):
    """One published version; it never changes."""

    version: int
    is_live: bool
    hash: str
    words: str = Field(examples=["did not do order_placed in the last 90 days"])
    condition: dict[str, Any] = Field(examples=[CONDITION])
    published_at: datetime


class SegmentBody(Body):
    """What a segment is: a condition, or an empty list of people."""

    kind: Literal["dynamic", "static"] = "dynamic"
    condition: dict[str, Any] | None = Field(
        None, description="for a dynamic one: a condition as in a journey (docs/reference/journey.schema.json)", examples=[CONDITION]
    )


class SegmentActivation(Body):
    """Which version is to be live."""

    version: int = Field(ge=1, lt=2**31, examples=[2])


@router.get("/segments", summary="List segments")
async def list_segments(app: App, database: Db, limit: Limit = 50, cursor: Cursor = None) -> Page[SegmentView]:
    """By name."""
    after = position(cursor, text)
    async with database.transaction(app) as connection:
        rows = await segments.page(connection, app, after=after[0] if after else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.name])
    return Page(items=[SegmentView(**_members(row)) for row in kept], next=following)


@router.get("/segments/{name}", summary="Get a segment")
async def get_segment(app: App, database: Db, name: SegmentName) -> SegmentWithCondition:
    """As it is now."""
    async with database.transaction(app) as connection:
        return whole(await existing(connection, app, name))


@router.get("/segments/{name}/versions", summary="List a segment's versions")
async def list_segment_versions(
    app: App, database: Db, name: SegmentName, limit: Limit = 50, cursor: Cursor = None
) -> Page[SegmentVersionView]:
    """The newest first. A static one has none."""
    before = position(cursor, number)
    async with database.transaction(app) as connection:
        live = await existing(connection, app, name)
        rows = await segments.versions(connection, app, name, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.version])
    return Page(items=[_version(row, live) for row in kept], next=following)


@router.put("/segments/{name}", summary="Publish a segment")
async def put_segment(app: App, database: Db, name: SegmentName, body: SegmentBody) -> SegmentWithCondition:
    """It is live at once, if it passes what `sojourn check` asks and names segments that there are. The same again is the same version."""
    _must_fit(body)
    async with database.transaction(app) as connection:
        await journeys.lock_publishing(connection, app)
        if body.condition is None:
            await make_static(connection, app, name)
        else:
            await publish(connection, app, [segment_publishing.read(name, body.condition, "/condition")], "/condition")
        return whole(await existing(connection, app, name))


@router.post("/segments/{name}/activate", summary="Make another version of a segment live")
async def activate_segment_version(app: App, database: Db, name: SegmentName, body: SegmentActivation) -> SegmentWithCondition:
    """Go back to an older version, or forward again. It must pass what publishing asks: the segments that it names may be gone by now."""
    async with database.transaction(app) as connection:
        await journeys.lock_publishing(connection, app)
        if (await existing(connection, app, name)).kind == "static":
            raise Conflict("this segment is a list of people: it has no versions")
        chosen = await segments.version(connection, app, name, body.version)
        if chosen is None:
            raise Invalid([Problem("/version", "no_such_version", "this segment has no version of that number")])
        await publish(connection, app, [segment_publishing.WrittenSegment(name, segments.read(chosen.condition))], "/version")
        return whole(await existing(connection, app, name))


@router.delete("/segments/{name}", status_code=204, summary="Delete a segment")
async def delete_segment(app: App, database: Db, name: SegmentName) -> None:
    """With its versions, or its list. Refused while a journey that is entered or has people inside, a campaign or a segment names it."""
    async with database.transaction(app) as connection:
        await journeys.lock_publishing(connection, app)
        await existing(connection, app, name)
        written = [from_json(each.definition) for each in await journeys.in_use(connection, app)]
        using = segment_publishing.users_of(name, written, await segments.live(connection, app))
        for each in await campaigns.all_of(connection, app):
            using += [f"campaign {each.name}"] if any(name in one.segments for one in each.needed) else []
        if using:
            raise Conflict(f"this segment is used by {', '.join(using)}: change them first. Nothing was deleted")
        await segments.remove(connection, app, name)


async def publish(connection: Connection, app: str, written: Sequence[segment_publishing.WrittenSegment], place: str | None = None) -> None:
    """Publish segments that were read, under the lock of publishing. Raises Invalid; `place` is where the only one stands in the body."""
    live = await segments.live(connection, app)
    using = [from_json(each.definition) for each in await journeys.live(connection, app)]
    sent = [needed for each in await campaigns.all_of(connection, app) for needed in each.needed]
    found = segment_publishing.together(written, live)
    if found := found or segment_publishing.not_noticed([*using, *sent], segment_publishing.defined(written, live)):
        raise Invalid([Problem(place or each.pointer, each.code, each.message) for each in found])
    await must_run(connection, app, written, place)
    for each in written:
        await segments.publish(connection, app, each.name, each.text, each.hash, each.mentions)


async def must_run(
    connection: Connection, app: str, written: Sequence[segment_publishing.WrittenSegment], place: str | None = None
) -> None:
    """Run the SQL of segments once. Raises Invalid where it fails, takes too long, or gives what is no user id."""
    found = []
    for each in written:
        try:
            await segment_people.try_sql(connection, app, each.condition)
        except (SqlFailed, TooSlow) as failed:
            found.append(Problem(place or f"/segments/{each.name}", "sql_fails", str(failed)))
    if found:
        raise Invalid(found)


async def existing(connection: Connection, app: str, name: str) -> StoredSegment:
    """Raises NotFound."""
    row = await segments.get(connection, app, name)
    if row is None:
        raise NotFound("no such segment")
    return row


async def make_static(connection: Connection, app: str, name: str) -> None:
    """Make a list, unless there is one. Raises Invalid for the name, Conflict where a condition has it."""
    if found := segment_publishing.name_problems(name):
        raise Invalid(found)
    known = await segments.get(connection, app, name)
    if known is not None and known.kind == "dynamic":
        raise Conflict("this segment has a condition: delete it first, or give the list another name")
    await segments.make_static(connection, app, name)


def _must_fit(body: SegmentBody) -> None:
    if body.kind == "dynamic" and body.condition is None:
        raise Invalid([Problem("/condition", "missing", "a dynamic segment has a condition; for a list of people say kind static")])
    if body.kind == "static" and body.condition is not None:
        raise Invalid([Problem("/condition", "static_has_none", "a static segment is a list of people: leave the condition out")])


def _version(row: segments.SegmentVersion, live: StoredSegment) -> SegmentVersionView:
    condition = orjson.loads(row.condition)
    words = condition_words(segments.read(row.condition))
    return SegmentVersionView(**{**vars(row), "condition": condition}, is_live=row.version == live.version, words=words)


def whole(row: StoredSegment) -> SegmentWithCondition:
    """A segment as the API tells it."""
    definition = row.definition
    slow = [] if isinstance(definition, str) else costly(definition)
    return SegmentWithCondition(**_members(row), condition=None if row.condition is None else orjson.loads(row.condition), warnings=slow)


def _members(row: StoredSegment) -> dict[str, Any]:
    kept = {name: value for name, value in vars(row).items() if name not in {"condition", "mentions"}}
    mentioned = None if row.mentions is None else MentionsView.model_validate(row.mentions, from_attributes=True)
    definition = row.definition
    words = "the people on its list" if isinstance(definition, str) else condition_words(definition)
    return {**kept, "mentions": mentioned, "words": words}
