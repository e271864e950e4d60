"""Imports: people, events and lists out of files, as jobs that can be watched, stopped and resumed."""

from typing import Annotated, Any, Literal

from fastapi import Path, Request
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, TypeAdapter

from activities.imports.beginning import begin as look
from activities.imports.mapping import problems_of
from activities.imports.order import ImportOrder
from activities.imports.places import check
from activities.imports.windows import WINDOW_BYTES
from api.files import key_of
from api.idempotency import IdempotencyKey, named
from api.jobs import JobView, begin
from api.paging import Cursor, Limit, Page, number, page_of, position, text
from api.segments import make_static
from api.strict import App, Body, Db, Who, Word, management
from api.temporal import WorkflowsIfThere
from journeys.language.errors import Invalid, NotFound, Problem
from storage import files, imports, jobs
from storage.database import Connection

router = management("Imports")
MOST_COLUMNS = 1000
JobId = Annotated[str, Path(description="the import's job", examples=["019a0000-0000-8000-8000-000000000000"])]
OneSign = Annotated[str, StringConstraints(min_length=1, max_length=1, pattern='^[^"\\r\\n]$')]
_ORDER: TypeAdapter[ImportOrder] = TypeAdapter(ImportOrder)


class ColumnBody(Body):
    """What becomes of one column."""

    column: Word = Field(description="its name in the header; in JSON lines a member, or a path with dots", examples=["E-Mail"])
    to: Word = Field(
        description="`user_id`, `email`, `phone`, `timezone`, `locale`, `updated_at`, `attributes.NAME`, `address.CHANNEL`;"
        " for events `user_id`, `event`, `event_id`, `occurred_at`, `properties.NAME`",
        examples=["email"],
    )
    type: Literal["as_is", "text", "number", "bool", "date", "list", "json"] = Field("as_is", description="what its values become")
    format: Word | None = Field(None, description="how a date is written: strptime's letters, `unix` or `unix_ms`; ISO 8601 if not given")


class ImportFileBody(Body):
    """What is imported, from where, and what its columns are."""

    what: Literal["users", "events", "list"] = Field(examples=["users"])
    file: Word | None = Field(None, description="the id of an uploaded file", examples=["019a0000-0000-8000-8000-000000000000"])
    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        None, description="instead of a file: http, https, s3 or gs; for buckets see SOJOURN_FILE_PLACES"
    )
    columns: list[ColumnBody] = Field(default_factory=list, max_length=MOST_COLUMNS)
    rest: Literal["kept", "ignored"] = Field(
        "kept", description="columns that are not named: attributes (properties of events), or nothing"
    )
    event: Word | None = Field(None, description="the name of all events, where no column has it", examples=[None])
    segment: Word | None = Field(
        None, description="a static segment on whose list they are put; made where there is none", examples=["friends"]
    )
    as_of: AwareDatetime | None = Field(None, description="the moment that the file tells of; what was heard later stays")
    timezone: Word = Field("UTC", description="the zone of times that name none", examples=["Europe/Berlin"])
    separator: OneSign = Field(";", description="what stands between the values of a list")
    delimiter: OneSign | None = Field(None, description="what stands between cells of CSV; found out, if not given")
    encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8"
    header: list[Word] = Field(default_factory=list, max_length=MOST_COLUMNS, description="the columns of CSV without a line for them")
    pinpoint: bool = Field(False, description="a file of Amazon Pinpoint; found out by its columns, if not said")
    unwrap: bool = Field(False, description="of Pinpoint: an attribute with one value becomes that value, not a list")


class BadRowView(BaseModel):
    """Why a row was not taken. What stands in it is told nowhere."""

    line: int = Field(description="the line of the file, from 1; of Parquet the row", examples=[4711])
    field: str = Field(description="the column; empty: the whole row", examples=["E-Mail"])
    code: str = Field(description="which rule; stable", examples=["invalid_email"])
    message: str = Field(description="the remedy", examples=["one address, such as name@example.com"])


@router.post("/imports", status_code=202, summary="Import a file")
async def begin_import(
    request: Request,
    app: App,
    by: Who,
    database: Db,
    workflows: WorkflowsIfThere,
    body: ImportFileBody,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Begin a job that brings users, events (as history, which starts nothing) or the people of a list.

    A bad row costs only itself: `GET /v1/imports/{job_id}/bad-rows` names it. The same file again changes nothing.
    """
    order = _ORDER.validate_python({**body.model_dump(mode="json"), "done_by": by})
    if found := problems_of(order):
        raise Invalid(found)
    if order.url is not None:
        check(app, order.url, request.app.state.settings.file_places)
    async with database.transaction(app) as connection:
        if order.file is not None:
            await _look(connection, app, order)
        if order.segment is not None:
            await make_static(connection, app, order.segment)
    parameters: dict[str, Any] = _ORDER.dump_python(order, mode="json")
    return await begin(database, workflows, app, "import", parameters, named(idempotency_key))


@router.get("/imports/{job_id}/bad-rows", summary="List the bad rows of an import")
async def list_bad_rows(app: App, database: Db, job_id: JobId, limit: Limit = 50, cursor: Cursor = None) -> Page[BadRowView]:
    """By line. The first 10,000 or so are kept, as long as the job; its result counts all of them."""
    after = position(cursor, number, text, text)
    async with database.transaction(app) as connection:
        job = await jobs.get(connection, app, key_of(job_id))
        if job.kind != "import":
            raise NotFound("no such import")
        last = (after[0], after[1], after[2]) if after else None
        rows = await imports.bad_rows(connection, app, job.id, after=last, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.line, row.field, row.code])
    return Page(items=[BadRowView(**row._asdict()) for row in kept], next=following)


async def _look(connection: Connection, app: str, order: ImportOrder) -> None:
    """Refuse at once what no row of the file could be taken with. Raises Invalid."""
    try:
        file = await files.get(connection, app, key_of(order.file or ""))
    except NotFound:
        raise Invalid([Problem("/file", "no_such_file", "upload it first; files are kept for a day")]) from None
    window = await files.read(connection, app, file.id, 0, WINDOW_BYTES)
    look(window, order, is_whole=len(window) >= file.size_bytes)
