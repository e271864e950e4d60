"""What would have left, as its receivers would see it: a list for programs, and a page for people."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from api.auth import key_ring, written_key
from api.errors import Unauthenticated
from api.html import POLICY, document, page
from api.paging import Cursor, Limit, Page, moment, page_of, position
from api.strict import App, Channel, Db, Word, management
from journeys.language.errors import NotFound
from settings import Environment
from storage import people, sandbox
from storage.sandbox import SandboxMessage

CHANNELS = ("email", "sms", "push", "in_app", "whatsapp", "voice", "webhook", "custom")
ON_PAGE = 50
# A frame without scripts, forms and our origin; links open in a tab of their own.
FRAME = "allow-popups allow-popups-to-escape-sandbox"
MAIL_POLICY = f"sandbox {FRAME}; default-src 'none'; style-src 'unsafe-inline'; img-src https: http: data:; frame-ancestors 'self'"

# A browser asks its reader only for Basic.
_ASK_FOR_KEY = HTTPException(401, headers={"WWW-Authenticate": 'Basic realm="a secret key of Sojourn"'})

router = management("Sandbox")
pages = APIRouter(include_in_schema=False)


class KeptMessage(BaseModel):
    """One message that left nowhere. `sends` above 1 means that it would have gone out twice."""

    id: UUID = Field(description="the message's id: GET /v1/messages/{id} tells the rest")
    channel: str = Field(examples=["email"])
    recipient: str = Field(examples=["ann@example.com"])
    content: dict[str, Any] = Field(examples=[{"subject": "Welcome", "html": "<p>Hello Ann</p>"}])
    sends: int
    kept_at: datetime


@router.get("/sandbox/messages", summary="List what would have left")
async def list_kept(
    app: App,
    database: Db,
    channel: Channel | None = None,
    user_id: Annotated[Word | None, Query(description="only this user's")] = None,
    recipient: Annotated[Word | None, Query(description="only to this address")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[KeptMessage]:
    """The newest first. Only channels whose provider is the sandbox keep messages here."""
    found = position(cursor, moment, UUID)
    before = (found[0], found[1]) if found else None
    async with database.transaction(app) as connection:
        person = await people.internal_id(connection, app, user_id) if user_id is not None else None
        rows = await sandbox.kept(connection, app, channel=channel, recipient=recipient, user_id=person, before=before, limit=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.kept_at, str(row.id)])
    return Page(items=[KeptMessage(**vars(row)) for row in kept], next=following)


async def _watched_app(request: Request) -> str:
    """In development the page is open, for the app of the settings. Elsewhere the browser asks for a secret key, as user or password."""
    settings = request.app.state.settings
    if settings.environment is Environment.DEVELOPMENT:
        return str(settings.app)
    try:
        key = await key_ring(request).key(written_key(request) or "")
    except Unauthenticated:
        raise _ASK_FOR_KEY from None
    if key.kind != "secret":
        raise _ASK_FOR_KEY
    return key.app


Watched = Annotated[str, Depends(_watched_app)]


@pages.get("/sandbox")
async def show_sandbox(app: Watched, database: Db, channel: str = "", user: str = "") -> HTMLResponse:
    """The newest messages as their receivers would see them."""
    async with database.transaction(app) as connection:
        person = await people.find(connection, app, user.strip()) if user.strip() else None
        is_unknown = bool(user.strip()) and person is None
        chosen = channel if channel in CHANNELS else None
        rows = [] if is_unknown else await sandbox.kept(connection, app, channel=chosen, user_id=person, limit=ON_PAGE)
    values = {"app": app, "messages": _shown(rows), "channels": CHANNELS, "channel": chosen, "user": user, "is_unknown": is_unknown}
    return page("sandbox.html", {**values, "frame": FRAME, "on_page": ON_PAGE}, policy=f"{POLICY}; frame-src 'self'")


@pages.get("/sandbox/{message_id}/mail")
async def show_mail(app: Watched, database: Db, message_id: UUID) -> HTMLResponse:
    """One mail's HTML, locked in: it runs nothing, and is nobody on this server."""
    async with database.transaction(app) as connection:
        kept = await sandbox.one(connection, app, message_id)
    html = kept.content.get("html") if kept else None
    if not isinstance(html, str):
        raise NotFound("no such mail")
    return document(_with_links_in_tabs(html), MAIL_POLICY)


def _shown(rows: Sequence[SandboxMessage]) -> list[dict[str, Any]]:
    return [{**vars(row), "body": _body(row)} for row in rows]


def _body(row: SandboxMessage) -> str:
    """A webhook's body, indented where it is JSON."""
    body = row.content.get("body")
    if row.channel != "webhook" or not isinstance(body, str):
        return ""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


def _with_links_in_tabs(html: str) -> str:
    """Put a base target into the head: a link that opened inside the frame would be refused by the page around it."""
    base = '<base target="_blank">'
    head = html.lower().find("<head>")
    return html + base if head < 0 else f"{html[: head + 6]}{base}{html[head + 6 :]}"
