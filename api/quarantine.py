"""Events that no journey could be told of: looking at them, and letting them be told again."""

from datetime import datetime
from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, Field

from api.paging import Cursor, Limit, Page, number, page_of, position
from api.strict import App, Body, Db, management
from storage import quarantine

router = management("Events")
Number = Annotated[int, Field(ge=1, le=2**63 - 1)]


class QuarantinedView(BaseModel):
    """An event that could not be told to journeys; the user's later events went on."""

    id: int
    user_id: str | None = Field(examples=["user-4711"])
    kind: str = Field(examples=["event"])
    event: str | None = Field(examples=["order_placed"])
    event_id: str | None
    reason: str = Field(description="why it could not be told, the fifth time", examples=["NotFound"])
    created_at: datetime


class ReleaseBody(Body):
    """Which of them."""

    ids: list[Number] | None = Field(None, max_length=1000, description="null: all that are there now")


class Released(BaseModel):
    """What is told again now. What fails again is put aside again."""

    released: int = Field(examples=[3])


@router.get("/quarantine", summary="List events that could not be told")
async def list_quarantine(app: App, database: Db, limit: Limit = 50, cursor: Cursor = None) -> Page[QuarantinedView]:
    """The newest first. `sojourn_relayed_total{outcome="quarantined"}` counts them as they come."""
    before = position(cursor, number)
    async with database.transaction(app) as connection:
        rows = await quarantine.page(connection, app, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.id])
    return Page(items=[QuarantinedView(**vars(row)) for row in kept], next=following)


@router.post("/quarantine/release", summary="Let them be told again")
async def release(request: Request, app: App, database: Db, body: ReleaseBody) -> Released:
    """Put them back into the queue, behind what the user has done since. Mend the cause first."""
    async with database.transaction(app) as connection:
        released = await quarantine.release(connection, app, body.ids)
    request.app.state.notify()
    return Released(released=released)
