"""Removing a person for good, and the record that says it happened and not to whom."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path, Request
from pydantic import BaseModel, Field

from api.paging import Cursor, Limit, Page, moment, page_of, position
from api.strict import App, Db, ErasingApp, UserId, management
from api.temporal import WorkflowsIfThere
from journeys.language.errors import NotFound, Unavailable
from storage import erasures
from storage.database import Connection
from storage.erasures import Erasure

router = management("Users")
ErasureId = Annotated[str, Path(description="the erasure's id", examples=["6f1c1d52-2a6b-4c77-9d0e-3a55a3c4e8b1"])]


class ErasureView(BaseModel):
    """That somebody was removed. `finished_at` is set when Temporal has forgotten them too: two minutes later at the earliest."""

    id: UUID
    asked_by: str = Field(description="the id of the key that asked", examples=["4kQ9xT2b"])
    removed: Mapping[str, int] = Field(description="rows by table", examples=[{"events": 214, "users": 1}])
    requested_at: datetime
    finished_at: datetime | None


@router.delete("/users/{user_id:path}", status_code=202, summary="Erase a user")
async def erase_user(request: Request, app: ErasingApp, database: Db, workflows: WorkflowsIfThere, user_id: UserId) -> ErasureView:
    """What says who they are and what they did is removed from Postgres before this answers, and cannot be brought back.

    Their enrollments end, and Temporal deletes the workflows. What stays: messages and enrollments as counts without a person, and the
    hashes of suppressed addresses, so that nobody writes there again. An event that comes afterwards makes a new person. The same
    request again is answered 404: nobody of this id is known.
    """
    removed = [erasures.EVENTS_AT_ONCE]
    while removed[-1] == erasures.EVENTS_AT_ONCE:
        async with database.transaction(app) as connection:
            removed.append(await erasures.remove_some_events(connection, app, user_id))

    async def erase(connection: Connection) -> Erasure:
        return await erasures.erase(connection, app, user_id, request.state.key.id, events_before=sum(removed[1:]))

    erasure = await database.run(erase, app)
    if workflows is not None:
        # A worker does it again until nothing is found, so a Temporal that fails now costs only time.
        with suppress(Unavailable):
            await workflows.forget(erasure)
    return _view(erasure)


@router.get("/erasures", summary="List erasures")
async def list_erasures(app: App, database: Db, limit: Limit = 50, cursor: Cursor = None) -> Page[ErasureView]:
    """The newest first. None says who it was."""
    found = position(cursor, moment, UUID)
    async with database.transaction(app) as connection:
        rows = await erasures.page(connection, app, before=(found[0], found[1]) if found else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.requested_at, str(row.id)])
    return Page(items=[_view(row) for row in kept], next=following)


@router.get("/erasures/{erasure_id}", summary="Is an erasure finished?")
async def get_erasure(app: App, database: Db, erasure_id: ErasureId) -> ErasureView:
    """What was removed, and whether Temporal has forgotten it too."""
    try:
        key = UUID(erasure_id)
    except ValueError:
        raise NotFound("no such erasure") from None
    async with database.transaction(app) as connection:
        return _view(await erasures.get(connection, app, key))


def _view(row: Erasure) -> ErasureView:
    return ErasureView.model_validate(vars(row))
