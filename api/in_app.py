"""In-app messages as a user's client gets them: those to show now, what it tells of them, and a stream of what changes."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Header, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from api.clients import Reader, StreamReader, client_router
from api.streams import EventStream, Streams, frames, position_of
from api.strict import Body, Db, Word
from channels.in_app.parts import InAppButton, InAppCaps, InAppDisplay
from journeys.language.errors import Invalid, Problem
from storage import facts, in_app
from storage.database import Connection
from storage.facts import Fact
from storage.in_app import Shown, Told
from storage.notify import IN_APP

router = client_router("/in-app", "/in-app/stream", "/in-app/{message_id}/events")
_FACTS: Mapping[str, Literal["opened", "clicked"]] = {"impression": "opened", "click": "clicked"}
_AHEAD = timedelta(minutes=5)
_EXAMPLE = 'id: 17.019a0000-0000-8000-8000-000000000000\nevent: inbox\ndata: {"unread":2}\n\n'


class InAppMessage(BaseModel):
    """One message to show, as plain text. Show it when `display` holds and `caps` allow; of several the first one."""

    id: UUID
    placement: Literal["banner", "modal", "fullscreen"]
    priority: int = Field(description="the lowest comes first", examples=[50])
    title: str | None = Field(None, examples=["Free delivery today"])
    body: str = Field(examples=["Only until midnight."])
    url: str | None = None
    image: str | None = None
    buttons: list[InAppButton] = Field(default_factory=list)
    data: dict[str, str] = Field(default_factory=dict, description="whatever your client knows what to do with")
    display: InAppDisplay = Field(default_factory=InAppDisplay)
    caps: InAppCaps = Field(default_factory=InAppCaps)
    impressions: int = Field(description="how often it was shown, as clients told", examples=[1])
    created_at: datetime
    expires_at: datetime


class InAppMessages(BaseModel):
    """What is to be shown now, by priority, then the newest first; 100 at most."""

    items: list[InAppMessage]


class InAppEvent(Body):
    """What happened to a message. A repeat under the same `id` counts nothing."""

    id: Annotated[Word, Field(max_length=128)] = Field(description="drawn by the client, a UUID for example", examples=["0198c3f0-9f5e"])
    kind: Literal["impression", "click", "dismiss"]
    occurred_at: AwareDatetime | None = Field(None, description="now, if left out")


class InAppEventTaken(BaseModel):
    """Whether it was news."""

    status: Literal["new", "duplicate"]


@router.get("/in-app", summary="Messages to show now", response_model=InAppMessages, responses={304: {"description": "As you have it"}})
async def list_in_app(
    client: Reader, database: Db, if_none_match: Annotated[str | None, Header(description="the ETag that you have")] = None
) -> Response:
    """Neither dismissed nor expired nor shown as often as `caps.total` says.

    `display`, `caps.session` and `caps.daily` are for your client to hold: it knows what happens on the screen.
    """
    async with database.transaction(client.app) as connection:
        rows = await in_app.active(connection, client.app, client.user_id)
    body = InAppMessages(items=[view_of(row) for row in rows]).model_dump_json().encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if etag in {part.strip().removeprefix("W/") for part in (if_none_match or "").split(",")}:
        return Response(status_code=304, headers={"ETag": etag})
    return Response(body, media_type="application/json", headers={"ETag": etag})


@router.post("/in-app/{message_id}/events", summary="Tell what happened to a message")
async def tell_in_app(request: Request, client: Reader, database: Db, message_id: UUID, body: InAppEvent) -> InAppEventTaken:
    """An impression counts for `caps.total`; a click reads the message in the inbox; a dismissed message is not shown again."""
    now = datetime.now(UTC)
    occurred_at = body.occurred_at or now
    if occurred_at > now + _AHEAD or occurred_at.year < 1970:  # noqa: PLR2004 - as for every event
        raise Invalid([Problem("/occurred_at", "invalid_time", "between 1970 and now")])
    told = Told(body.id, body.kind, occurred_at)

    async def take(connection: Connection) -> bool:
        is_news = await in_app.note(connection, client.app, client.user_id, message_id, told)
        if is_news and body.kind in _FACTS:
            await facts.record(connection, client.app, message_id, Fact(_FACTS[body.kind], occurred_at, body.id))
        return is_news

    is_news = await database.run(take, client.app)
    if is_news:
        request.app.state.notify(IN_APP)
        request.app.state.notify()
    return InAppEventTaken(status="new" if is_news else "duplicate")


@router.get(
    "/in-app/stream",
    summary="A stream of what changes",
    response_class=EventStream,
    responses={
        200: {"description": "Server-sent events: `message`, `gone`, `inbox`", "content": {"text/event-stream": {"example": _EXAMPLE}}}
    },
)
async def stream_in_app(
    request: Request,
    client: StreamReader,
    last_event_id: Annotated[str | None, Header(description="where the stream was cut; EventSource sends it by itself")] = None,
) -> EventStream:
    """`message`: an in-app message to show, new or changed; `gone`: its `id` is to be shown no more; `inbox`: how many are `unread`.

    The first stream begins with everything that is to be shown. It ends when the token does: come back with a new one. 429: this user has
    five streams already; 503: this process has as many as it may. Both say when to come back.
    """
    streams: Streams = request.app.state.streams
    after = position_of(last_event_id)
    stream = streams.open(client)
    return EventStream(frames(request.app, stream, client, after, written), stream)


def view_of(row: Shown) -> InAppMessage:
    """Show one message."""
    members: dict[str, Any] = {**row.content, **{name: getattr(row, name) for name in _OWN}}
    return InAppMessage.model_validate(members)


def written(row: Shown) -> bytes:
    return view_of(row).model_dump_json().encode()


_OWN = ("id", "placement", "priority", "impressions", "created_at", "expires_at")
