"""Who is in a segment: how many, some of them, all of them page by page, why somebody is or is not, and changing or freezing a list."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from api import idempotency, segment_publishing
from api.idempotency import IdempotencyKey
from api.jobs import JobView, take_up, view
from api.paging import Cursor, Limit, Page, number, page_of, position
from api.segments import CONDITION, SegmentName, SegmentWithCondition, existing, whole
from api.strict import App, Body, Db, LongTextRoute, ReadingApp, UserId, Word, management
from api.temporal import WorkflowsIfThere
from journeys.language.check_segments import costly
from journeys.language.conditions import AnyCondition, InSegment
from journeys.language.describe import condition_words
from journeys.language.errors import Conflict, Invalid, Problem
from storage import enrollments, jobs, journeys, people, segment_people, segments
from storage.database import Connection
from storage.segment_people import Asked, Explanation, HowItIsRead, SomePerson, TooSlow

router = management("Segments", LongTextRoute)
MOST_AT_ONCE = 10_000
MANY_EVENTS = 1_000_000
At = Annotated[AwareDatetime | None, Query(description="as of which moment; now, if not given", examples=["2026-11-01T00:00:00Z"])]
Exact = Annotated[
    bool | None,
    Query(description="true: count, however long it takes (25 s at most); false: estimate; not given: count if that takes 2 s at most"),
]


class PersonInSegment(BaseModel):
    """Somebody who is in it."""

    user_id: str | None = Field(description="your own id of them; null while they are anonymous", examples=["user-4711"])


class SizeView(BaseModel):
    """How many people are in it."""

    people: int = Field(examples=[1280])
    is_exact: bool = Field(description="false: an estimate, made by asking some thousand people")
    margin: int = Field(description="of an estimate: the truth is within it 95 of 100 times", examples=[0])
    at: datetime = Field(description="as of when; attributes, addresses, consents and lists are as they are now")


class ExplanationView(BaseModel):
    """Whether one part of a condition holds of somebody, and its own parts."""

    words: str = Field(examples=["did not do order_placed in the last 90 days"])
    holds: bool
    segment: str | None = Field(None, description="this is what that segment means", examples=["lapsed"])
    parts: list["ExplanationView"] = Field(examples=[[]])


class MembershipView(BaseModel):
    """Whether a user is in it, and by which part."""

    is_in: bool
    at: datetime
    explanation: ExplanationView


class SegmentPreviewOrder(Body):
    """A condition that need not be published."""

    condition: dict[str, Any] = Field(description="a condition as in a journey", examples=[CONDITION])
    at: AwareDatetime | None = Field(None, description="as of which moment; now, if not given", examples=["2026-11-01T00:00:00Z"])
    exact: bool | None = Field(None, description="true: count, 25 s at most; false: estimate; null: count if that takes 2 s at most")
    sample: int = Field(10, ge=0, le=100, description="how many people to show")
    user_id: Word | None = Field(None, description="explain whether this user is in", examples=["user-4711"])


class SegmentPreview(SizeView):
    """How many, some of them, and an explanation where one was asked for."""

    words: str = Field(examples=["did not do order_placed in the last 90 days"])
    sample: list[PersonInSegment]
    explanation: ExplanationView | None
    warnings: list[str] = Field(description="what makes it slow", examples=[[]])


class QueryView(BaseModel):
    """How Postgres would find everybody."""

    estimated_people: int = Field(description="Postgres's own guess", examples=[1280])
    lines: list[str] = Field(description="its plan, as EXPLAIN writes it", examples=[["Seq Scan on users"]])
    longest_s: float = Field(description="after so many seconds a question about this segment is given up", examples=[25])
    memory: str = Field(description="so much each step of the plan may use before it goes to disk", examples=["64MB"])
    warnings: list[str] = Field(description="what makes it slow", examples=[[]])


class ListChange(Body):
    """Whom to put on the list of a static segment, and whom to take off it."""

    add: list[Word] = Field(default_factory=list, max_length=MOST_AT_ONCE, description="your ids of users", examples=[["user-4711"]])
    remove: list[Word] = Field(default_factory=list, max_length=MOST_AT_ONCE, examples=[["user-4712"]])


class ListChanged(BaseModel):
    """How many were put on the list who were not on it, and how many taken off."""

    added: int
    removed: int


class FreezeOrder(Body):
    """How the list is to be named."""

    name: Word = Field(examples=["lapsed-in-november"])
    at: AwareDatetime | None = Field(None, description="as of which moment; now, if not given", examples=["2026-11-01T00:00:00Z"])


@router.post("/segments/preview", summary="Who would be in a segment?")
async def preview_segment(app: ReadingApp, database: Db, body: SegmentPreviewOrder) -> SegmentPreview:
    """How many, some of them, and why somebody is in or not. Nothing is stored."""
    written = segment_publishing.read("preview", body.condition, "/condition")
    async with database.transaction(app) as connection:
        asked = await _asked(connection, app, written.condition, body.at)
        if lacking := sorted(set(written.mentions.segments) - set(asked.segments)):
            raise Invalid([Problem("/condition", "no_such_segment", f"there is no segment {name}") for name in lacking])
        size, some = await segment_people.look(connection, asked, most=body.sample, exactly=body.exact)
        explanation = await _explained(connection, asked, body.user_id) if body.user_id is not None else None
    return SegmentPreview(
        **vars(size),
        at=asked.at,
        words=condition_words(written.condition),
        sample=[_person(each) for each in some],
        explanation=explanation,
        warnings=costly(asked.condition, asked.segments),
    )


@router.get("/segments/{name}/size", summary="How many are in a segment?")
async def get_size(app: App, database: Db, name: SegmentName, at: At = None, exact: Exact = None) -> SizeView:
    """Exact where that is quick, else an estimate that says so: ask again with `exact=true`."""
    async with database.transaction(app) as connection:
        asked = await _of(connection, app, name, at)
        size, _ = await segment_people.look(connection, asked, most=0, exactly=exact)
    return SizeView(**vars(size), at=asked.at)


@router.get("/segments/{name}/members", summary="List who is in a segment")
async def list_members(
    app: App, database: Db, name: SegmentName, at: At = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[PersonInSegment]:
    """In the order in which they became known. Anonymous people have no `user_id`."""
    after = position(cursor, number)
    async with database.transaction(app) as connection:
        asked = await _of(connection, app, name, at)
        rows = await segment_people.page(connection, asked, after=after[0] if after else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.id])
    return Page(items=[_person(each) for each in kept], next=following)


@router.get("/segments/{name}/members/{user_id:path}", summary="Is this user in a segment, and why?")
async def explain_membership(app: App, database: Db, name: SegmentName, user_id: UserId, at: At = None) -> MembershipView:
    """With every part of the condition, and what the segments mean that it names."""
    async with database.transaction(app) as connection:
        asked = await _of(connection, app, name, at)
        explanation = await _explained(connection, asked, user_id)
    return MembershipView(is_in=explanation.holds, at=asked.at, explanation=explanation)


@router.post("/segments/{name}/members", summary="Change the list of a static segment")
async def change_list(app: App, database: Db, name: SegmentName, body: ListChange) -> ListChanged:
    """All of it, or nothing where an id is nobody's. Who is on the list already stays on it."""
    async with database.transaction(app) as connection:
        if (await existing(connection, app, name)).kind == "dynamic":
            raise Conflict("this segment has a condition: only a static one has a list")
        await _must_be_known(connection, app, body)
        added = await segments.put_on_list(connection, app, name, body.add)
        removed = await segments.take_off_list(connection, app, name, body.remove)
    return ListChanged(added=added, removed=removed)


@router.post(
    "/segments/{name}/freeze",
    status_code=201,
    summary="Freeze a segment into a list",
    response_model=SegmentWithCondition,
    responses={202: {"model": JobView, "description": "It takes longer: a job puts them on the list, which is there already"}},
)
async def freeze_segment(
    request: Request, app: App, database: Db, workflows: WorkflowsIfThere, name: SegmentName, body: FreezeOrder,
    idempotency_key: IdempotencyKey = None,
) -> Response:  # fmt: skip
    """Make a static segment of those who are in this one at a moment. It remembers where they are from.

    Where that takes more than two seconds, the answer is 202 with a job, and `frozen_at` stays null until the list is whole.
    """
    if found := segment_publishing.name_problems(body.name):
        raise Invalid([Problem("/name", each.code, each.message) for each in found])
    key = idempotency.named(idempotency_key)

    async def work() -> SegmentWithCondition | JobView:
        origin = await existing(connection, app, name)
        if await segments.get(connection, app, body.name) is not None:
            raise Conflict("there is a segment of this name: give the list another")
        asked = await _of(connection, app, name, body.at)
        await segments.make_static(connection, app, body.name)
        try:
            await segment_people.freeze(connection, asked, body.name, longest_s=segment_people.QUICK_S)
        except TooSlow:
            await segments.mark_frozen(connection, app, body.name, origin=name, version=origin.version, at=None)
            return view(await jobs.create(connection, app, "freeze", _freezing(asked, name, origin.version, body.name)))
        await segments.mark_frozen(connection, app, body.name, origin=name, version=origin.version, at=asked.at)
        return whole(await existing(connection, app, body.name))

    async with database.transaction(app) as connection:
        await journeys.lock_publishing(connection, app)
        answer = await idempotency.once(connection, app, request, key, body=body, status=_status, work=work)
    if answer.status_code == HTTPStatus.ACCEPTED:
        await take_up(workflows, app, UUID(orjson.loads(answer.body)["id"]))
    return answer


def _status(told: BaseModel) -> int:
    return HTTPStatus.ACCEPTED if isinstance(told, JobView) else HTTPStatus.CREATED


def _freezing(asked: Asked, name: str, version: int | None, target: str) -> dict[str, Any]:
    """What the job of activities/jobs/freezing.py is given: with what the segments mean now."""
    meant = segments.written(asked.segments)
    return {"segment": name, "version": version, "list": target, "at": asked.at.isoformat(), "segments": meant}


@router.get("/segments/{name}/query", summary="How is a segment read?")
async def explain_query(app: App, database: Db, name: SegmentName) -> QueryView:
    """The plan of Postgres for finding everybody, and warnings of what makes it slow. Nothing is read."""
    async with database.transaction(app) as connection:
        asked = await _of(connection, app, name, None)
        read = await segment_people.how_it_is_read(connection, asked)
    return QueryView(
        estimated_people=read.estimated_people,
        lines=list(read.lines),
        longest_s=segment_people.LONGEST_S,
        memory=segment_people.MOST_MEMORY,
        warnings=[*costly(asked.condition, asked.segments), *_much(read)],
    )


def _much(read: HowItIsRead) -> list[str]:
    found = [f"it reads all of {table}, some {rows:,} rows" for table, rows in sorted(read.read_whole.items())]
    if read.read_events >= MANY_EVENTS:
        found.append(f"it reads some {read.read_events:,} events: counting them may take more than a second a million")
    return found


async def _asked(connection: Connection, app: str, condition: AnyCondition, at: datetime | None) -> Asked:
    moment = at or await enrollments.database_now(connection)
    return Asked(app, condition, await segments.come_to(connection, app, condition), moment)


async def _of(connection: Connection, app: str, name: str, at: datetime | None) -> Asked:
    await existing(connection, app, name)
    return await _asked(connection, app, InSegment(name), at)


async def _explained(connection: Connection, asked: Asked, user_id: str) -> ExplanationView:
    person = await people.internal_id(connection, asked.app, user_id)
    return _explanation(await segment_people.explain(connection, asked, person))


async def _must_be_known(connection: Connection, app: str, body: ListChange) -> None:
    """Raises Invalid with the place of each id that is nobody's."""
    lists: dict[str, Sequence[str]] = {"add": body.add, "remove": body.remove}
    found = [
        Problem(f"/{member}/{place}", "no_such_user", "nobody has this id: send an event of theirs or put the user first")
        for member, ids in lists.items()
        for place in await segments.unknown_places(connection, app, ids)
    ]
    if found:
        raise Invalid(found)


def _explanation(part: Explanation) -> ExplanationView:
    parts = [_explanation(each) for each in part.parts]
    return ExplanationView(words=condition_words(part.condition), holds=part.holds, segment=part.segment, parts=parts)


def _person(each: SomePerson) -> PersonInSegment:
    return PersonInSegment(user_id=each.user_id)
