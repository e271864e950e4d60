"""Exports of people into files, as jobs. What is held about one person as a whole is in api/exports.py."""

from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import AwareDatetime, Field, StringConstraints, TypeAdapter

from activities.imports.parquet import needs_parquet
from activities.imports.places import check
from activities.jobs.exporting import MOST_ATTRIBUTES, ExportOrder, problems_of
from api.idempotency import IdempotencyKey, named
from api.jobs import JobView, begin
from api.segments import existing
from api.strict import App, Body, Db, Who, Word, management
from api.temporal import WorkflowsIfThere

router = management("Imports")
_ORDER: TypeAdapter[ExportOrder] = TypeAdapter(ExportOrder)


class ExportBody(Body):
    """Whose rows are written, how, and where they go."""

    form: Literal["csv", "ndjson", "parquet"] = Field("csv", examples=["csv"])
    segment: Word | None = Field(None, description="who is in it; everybody, if not given", examples=["lapsed"])
    at: AwareDatetime | None = Field(None, description="who is in the segment as of then; now, if not given")
    attributes: list[Word] | None = Field(None, max_length=MOST_ATTRIBUTES, description="which ones; all that anybody has, if not given")
    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        None, description="where it is put: s3, gs (see SOJOURN_FILE_PLACES), or http and https by PUT; if not given, fetch it by its id"
    )


@router.post("/exports", status_code=202, summary="Export people into a file")
async def begin_export(
    request: Request,
    app: App,
    by: Who,
    database: Db,
    workflows: WorkflowsIfThere,
    body: ExportBody,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Begin a job that writes a row for each: id, zone, language, the newest active address of each channel, attributes.

    Its result names the file: `GET /v1/files/{file_id}`. People without a user id are left out, and counted. The file can be imported.
    """
    order = _ORDER.validate_python({**body.model_dump(mode="json"), "done_by": by})
    if found := problems_of(order):
        raise found
    if order.url is not None:
        check(app, order.url, request.app.state.settings.file_places)
    if order.form == "parquet":
        needs_parquet()
    if order.segment is not None:
        async with database.transaction(app) as connection:
            await existing(connection, app, order.segment)
    parameters: dict[str, Any] = _ORDER.dump_python(order, mode="json")
    return await begin(database, workflows, app, "export", parameters, named(idempotency_key))
