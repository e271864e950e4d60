"""The page that a confirm link opens. Looking confirms nothing, for scanners follow links; POST does."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from activities.subscribing import Confirmation, confirm, look
from api.readers import Visit, choices_path, database_of, read, show, unknown, visit
from channels.links import CONFIRM_PATH, read_confirm
from storage import topics
from storage.database import Connection
from storage.topics import Topic

router = APIRouter(tags=["Links in messages"])


@router.get(f"{CONFIRM_PATH}{{token}}", response_class=HTMLResponse, summary="The page to confirm a subscription")
async def show_confirm(request: Request, token: str) -> HTMLResponse:
    """Shows what would be confirmed, and a button. Changes nothing."""
    asked = read(request, read_confirm, token)
    if asked is None:
        return unknown(request)
    async with database_of(request).transaction(asked.app) as connection:
        by = await visit(connection, request, asked.app, asked.user_id)
        found = await look(connection, asked.app, by.user_id, asked, datetime.now(UTC)) if by else None
        topic = await _topic(connection, asked.app, found)
    return _page(request, by, found, topic)


@router.post(f"{CONFIRM_PATH}{{token}}", response_class=HTMLResponse, summary="Confirm a subscription")
async def confirm_subscription(request: Request, token: str) -> HTMLResponse:
    """Lets the pending yes count from now on. Not after seven days, nor where the person has left since; a repeat changes nothing."""
    asked = read(request, read_confirm, token)
    if asked is None:
        return unknown(request)
    async with database_of(request).transaction(asked.app) as connection:
        found = await confirm(connection, asked.app, asked, datetime.now(UTC))
        by = await visit(connection, request, asked.app, asked.user_id)
        topic = await _topic(connection, asked.app, found)
    return _page(request, by, found, topic)


async def _topic(connection: Connection, app: str, found: Confirmation | None) -> Topic | None:
    return await topics.of_name(connection, app, found.pending.topic) if found else None


def _page(request: Request, by: Visit | None, found: Confirmation | None, topic: Topic | None) -> HTMLResponse:
    if by is None or found is None or topic is None:
        return unknown(request)
    filled = {"topic": topic.title, "channel": by.channel(found.pending.channel)}
    values = {"stands": found.stands, "description": topic.description, "choices_path": choices_path(request, by, None)}
    return show("confirm.html", by, values, **filled)
