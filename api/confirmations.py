"""The page that a confirm link opens. Looking confirms nothing, for scanners follow links; POST does."""

from datetime import UTC, datetime

from fastapi import Request
from fastapi.responses import HTMLResponse

from activities.subscribing import Confirmation, confirm, look
from api.readers import Visit, choices_path, page_router, read, show, visit
from api.strict import Db
from channels.links import CONFIRM_PATH, read_confirm
from storage import topics
from storage.database import Connection

router = page_router()


@router.get(f"{CONFIRM_PATH}{{token}}", response_class=HTMLResponse, summary="The page to confirm a subscription")
async def show_confirm(request: Request, database: Db, token: str) -> HTMLResponse:
    """Shows what would be confirmed, and a button. Changes nothing."""
    asked = read(request, read_confirm, token)
    async with database.transaction(asked.app) as connection:
        by = await visit(connection, request, asked.app, asked.user_id)
        found = await look(connection, by.user_id, asked, datetime.now(UTC))
        return await _page(connection, request, by, found)


@router.post(f"{CONFIRM_PATH}{{token}}", response_class=HTMLResponse, summary="Confirm a subscription")
async def confirm_subscription(request: Request, database: Db, token: str) -> HTMLResponse:
    """Lets the pending yes count from now on. Not after seven days, nor where the person has left since; a repeat changes nothing."""
    asked = read(request, read_confirm, token)
    async with database.transaction(asked.app) as connection:
        found = await confirm(connection, asked, datetime.now(UTC))
        by = await visit(connection, request, asked.app, asked.user_id)
        return await _page(connection, request, by, found)


async def _page(connection: Connection, request: Request, by: Visit, found: Confirmation) -> HTMLResponse:
    topic = await topics.of_name(connection, by.app, found.pending.topic)
    values = {"stands": found.stands, "description": topic.description, "choices_path": choices_path(request, by, None)}
    return show("confirm.html", by, values, topic=topic.title, channel=by.channel(found.pending.channel))
