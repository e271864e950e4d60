"""Messages: what was sent, to whom, or why not."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Path, Query
from pydantic import BaseModel, Field

from api.paging import Cursor, Limit, Page, page_of, position
from api.strict import App, Body, Channel, Db, Word, management
from api.words import message_words
from journeys.language.errors import Conflict, NotFound
from storage import message_pages, people, unconfirmed
from storage.message_pages import LedgerRow

router = management("Messages")
State = Literal["planned", "deferred", "claimed", "sent", "rejected", "unknown", "skipped", "given_up"]


class MessageView(BaseModel):
    """One message to one endpoint: a row of the ledger."""

    id: UUID
    words: str = Field(description="what became of it, for people", examples=['email "welcome": sent, opened'])
    user_id: str | None = Field(examples=["user-4711"])
    endpoint_id: int | None
    address: str | None = Field(examples=["ann@example.com"])
    source: str = Field(description="the enrollment's id, or direct: and the request's key")
    journey: str | None = Field(examples=["onboarding"])
    step: str = Field(examples=["welcome"])
    visit: int
    channel: str = Field(examples=["email"])
    message_class: str = Field(examples=["marketing"])
    topic: str | None = Field(examples=["general"])
    template: str | None = Field(examples=["welcome"])
    template_version: int | None
    state: str = Field(description="planned, deferred, claimed, sent, rejected, unknown (it may have gone out), skipped or given_up")
    reason: str | None = Field(description="why not, as a code", examples=["suppressed"])
    deferred_until: datetime | None
    planned_at: datetime
    claimed_at: datetime | None
    settled_at: datetime | None
    provider: str | None = Field(examples=["smtp"])
    account: str | None = Field(description="the app's account that was tried last; null: the installation's provider", examples=["main"])
    answer: str | None = Field(description="what the provider said")
    maybe_doubled: bool = Field(description="an unconfirmed transactional message that was sent once more")
    units: int | None = Field(description="segments of a text, calls, WhatsApp messages; null where nothing is counted", examples=[2])
    price: Decimal | None = Field(description="of all units, by the account's prices", examples=["0.1450"])
    currency: str | None = Field(examples=["EUR"])
    delivered_at: datetime | None
    bounced_at: datetime | None
    complained_at: datetime | None
    opened_at: datetime | None
    clicked_at: datetime | None
    unsubscribed_at: datetime | None


@router.get("/messages", summary="List messages")
async def list_messages(
    app: App,
    database: Db,
    user_id: Annotated[Word | None, Query(description="only this user's")] = None,
    state: Annotated[State | None, Query(description="only those in this state")] = None,
    journey: Annotated[Word | None, Query(description="only those of this journey")] = None,
    channel: Channel | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[MessageView]:
    """Those of the newest enrollments and requests first."""
    before = position(cursor, UUID)
    async with database.transaction(app) as connection:
        rows = await message_pages.page(
            connection,
            app,
            user_id=await people.internal_id(connection, app, user_id) if user_id is not None else None,
            state=state,
            journey=journey,
            channel=channel,
            before=before[0] if before else None,
            most=limit + 1,
        )
    kept, following = page_of(rows, limit, lambda row: [str(row.id)])
    return Page(items=[_view(row) for row in kept], next=following)


@router.get("/messages/{message_id}", summary="What became of a message?")
async def get_message(
    app: App, database: Db, message_id: Annotated[str, Path(examples=["019a0000-0000-8000-8000-000000000000"])]
) -> MessageView:
    """One message with its state, the reason, and what the receiver's side told later."""
    try:
        key = UUID(message_id)
    except ValueError:
        raise NotFound("no such message") from None
    async with database.transaction(app) as connection:
        return _view(await message_pages.message(connection, app, key))


class Resolution(Body):
    """What somebody found out, for example at the provider's own pages."""

    went_out: bool = Field(description="false: it did not, and is given up", examples=[True])


@router.post(
    "/messages/{message_id}/resolve",
    summary="Say whether an unconfirmed message went out",
    responses={409: {"description": "The message is not unconfirmed"}},
)
async def resolve_message(
    app: App, database: Db, message_id: Annotated[str, Path(examples=["019a0000-0000-8000-8000-000000000000"])], body: Resolution
) -> MessageView:
    """Sent or given up from now on, and nothing is sent by it. 409 where it is not unconfirmed, unless it is so already."""
    try:
        key = UUID(message_id)
    except ValueError:
        raise NotFound("no such message") from None
    wanted = "sent" if body.went_out else "given_up"
    async with database.transaction(app) as connection:
        resolve = unconfirmed.confirm if body.went_out else unconfirmed.did_not_go_out
        changed = await resolve(connection, app, key)
        row = await message_pages.message(connection, app, key)
    if not changed and row.state != wanted:
        raise Conflict("the message is not unconfirmed: its state says what became of it")
    return _view(row)


def _view(row: LedgerRow) -> MessageView:
    return MessageView(**vars(row), words=message_words(vars(row)))
