"""Texts that may ask us to stop: a person looks at them and decides."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import BaseModel, Field

from api.paging import Cursor, Limit, Page, number, page_of, position
from api.strict import App, Body, Db, Who, management
from storage import unclear_replies
from storage.unclear_replies import UnclearReply

router = management("Replies")
Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="as the list shows it", examples=[12])]


class UnclearReplyView(BaseModel):
    """One text. Marketing on its channel rests for this user until it is decided."""

    id: int = Field(examples=[12])
    user_id: str | None = Field(examples=["user-4711"])
    channel: str = Field(examples=["sms"])
    text: str = Field(examples=["stop by tomorrow at 5"])
    received_at: datetime
    decided_at: datetime | None
    decision: Literal["leaves", "stays"] | None = Field(examples=["stays"])
    decided_by: str | None = Field(examples=["support"])


class Deciding(Body):
    """What the person meant."""

    decision: Literal["leaves", "stays"] = Field(
        description="leaves: no marketing on the channel any more; stays: what they had agreed to before holds again", examples=["stays"]
    )


@router.get("/unclear-replies", summary="List texts that may ask us to stop")
async def list_unclear_replies(
    app: App,
    database: Db,
    limit: Limit = 50,
    cursor: Cursor = None,
    decided: Annotated[bool, Query(description="those too that were decided")] = False,
) -> Page[UnclearReplyView]:
    """The newest first."""
    before = position(cursor, number)
    async with database.transaction(app) as connection:
        rows = await unclear_replies.page(connection, app, with_decided=decided, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.id])
    return Page(items=[_view(row) for row in kept], next=following)


@router.post(
    "/unclear-replies/{reply_id}/decide",
    summary="Decide what a text meant",
    responses={409: {"description": "It was decided otherwise"}},
)
async def decide_unclear_reply(app: App, database: Db, who: Who, reply_id: Number, body: Deciding) -> UnclearReplyView:
    """It holds for every send that has not begun when this answers. A STOP that came meanwhile counts more."""
    async with database.transaction(app) as connection:
        return _view(await unclear_replies.decide(connection, app, reply_id, body.decision, who))


def _view(row: UnclearReply) -> UnclearReplyView:
    return UnclearReplyView(**{name: value for name, value in vars(row).items() if name != "body"}, text=row.body)
