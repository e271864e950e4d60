"""A user's inbox: messages that stay until they are archived or expire, with how many were not read."""

from datetime import datetime
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, Field

from api.clients import Reader, client_router
from api.paging import Cursor, Limit, moment, page_of, position
from api.strict import Db
from channels.in_app.parts import InAppButton
from storage import in_app
from storage.in_app import Shown
from storage.notify import IN_APP

router = client_router("/inbox", "/inbox/read-all", "/inbox/{message_id}/read", "/inbox/{message_id}/archive")


class InboxMessage(BaseModel):
    """One message of the inbox, as plain text."""

    id: UUID
    title: str | None = Field(None, examples=["Your order is on its way"])
    body: str = Field(examples=["It arrives tomorrow."])
    url: str | None = None
    image: str | None = None
    buttons: list[InAppButton] = Field(default_factory=list)
    data: dict[str, str] = Field(default_factory=dict)
    created_at: datetime
    expires_at: datetime
    read_at: datetime | None


class Inbox(BaseModel):
    """One page, the newest first; ask again with `cursor` set to `next`, unless that is null."""

    items: list[InboxMessage]
    next: str | None = None
    unread: int = Field(description="of the whole inbox", examples=[2])


class ReadAll(BaseModel):
    """How many were not read before."""

    read: int = Field(examples=[2])


@router.get("/inbox", summary="A user's inbox")
async def list_inbox(client: Reader, database: Db, limit: Limit = 50, cursor: Cursor = None) -> Inbox:
    """What was kept for them and is neither archived nor expired."""
    found = position(cursor, moment, UUID)
    async with database.transaction(client.app) as connection:
        before = (found[0], found[1]) if found else None
        rows = await in_app.inbox(connection, client.app, client.user_id, before=before, most=limit + 1)
        unread = await in_app.unread(connection, client.app, client.user_id)
    kept, following = page_of(rows, limit, lambda row: [row.created_at, str(row.id)])
    return Inbox(items=[_view(row) for row in kept], next=following, unread=unread)


@router.post("/inbox/read-all", summary="Mark everything in the inbox as read")
async def read_whole_inbox(request: Request, client: Reader, database: Db) -> ReadAll:
    """Repeating it changes nothing."""
    async with database.transaction(client.app) as connection:
        read = await in_app.read_all(connection, client.app, client.user_id)
    request.app.state.notify(IN_APP)
    return ReadAll(read=read)


@router.post("/inbox/{message_id}/read", status_code=204, summary="Mark a message as read")
async def read_inbox_message(request: Request, client: Reader, database: Db, message_id: UUID) -> Response:
    """The first time counts."""
    async with database.transaction(client.app) as connection:
        await in_app.read(connection, client.app, client.user_id, message_id)
    request.app.state.notify(IN_APP)
    return Response(status_code=204)


@router.post("/inbox/{message_id}/archive", status_code=204, summary="Put a message out of the inbox")
async def archive_inbox_message(request: Request, client: Reader, database: Db, message_id: UUID) -> Response:
    """It is listed and counted no more."""
    async with database.transaction(client.app) as connection:
        await in_app.archive(connection, client.app, client.user_id, message_id)
    request.app.state.notify(IN_APP)
    return Response(status_code=204)


def _view(row: Shown) -> InboxMessage:
    members = {name: row.content[name] for name in ("title", "body", "url", "image", "buttons", "data") if name in row.content}
    own = {name: getattr(row, name) for name in ("id", "created_at", "expires_at", "read_at")}
    return InboxMessage.model_validate({**members, **own})
