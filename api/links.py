"""The page that a link in a message opens to leave a topic. Looking changes nothing, for scanners follow links; POST acts (RFC 8058)."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.html import page
from channels.links import UNSUBSCRIBE_PATH, Unsubscribe, read_unsubscribe
from settings import Settings
from storage import apps, consents, people
from storage.consents import ConsentRecord
from storage.database import Connection, Database
from storage.standing import lock_person

router = APIRouter(tags=["Links in messages"])
SOURCE = "unsubscribe_link"


@router.get(f"{UNSUBSCRIBE_PATH}{{token}}", response_class=HTMLResponse, summary="The page to leave a topic")
async def show_unsubscribe(request: Request, token: str) -> HTMLResponse:
    """Shows what leaving would mean, and a button. Changes nothing."""
    asked = _asked(request, token)
    if asked is None:
        return _unknown()
    async with _database(request).transaction(asked.app) as connection:
        if await people.exists(connection, asked.app, asked.user_id):
            return page("unsubscribe.html", await _values(connection, asked))
    return _unknown()


@router.post(f"{UNSUBSCRIBE_PATH}{{token}}", response_class=HTMLResponse, summary="Leave a topic")
async def unsubscribe(request: Request, token: str) -> HTMLResponse:
    """Leaves at once, for this person, channel and topic, by a click here or by the mail program's own button (RFC 8058).

    The body is not looked at, no cookie is asked for, and a repeat changes nothing.
    """
    asked = _asked(request, token)
    if asked is None:
        return _unknown()
    async with _database(request).transaction(asked.app) as connection:
        # The lock that a claim takes: a message that is claimed after this answer will not go out.
        person = await lock_person(connection, asked.app, asked.user_id)
        if person is None:
            return _unknown()
        channel = await _channel(connection, asked)
        if not await _has_left(connection, asked, person.id, channel):
            await consents.record(connection, asked.app, person.id, ConsentRecord(channel, asked.topic, "withdrawn", SOURCE))
        values = await _values(connection, asked)
    return page("unsubscribed.html", values)


def _asked(request: Request, token: str) -> Unsubscribe | None:
    settings: Settings = request.app.state.settings
    return read_unsubscribe(settings.secret.get_secret_value(), token)


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _has_left(connection: Connection, asked: Unsubscribe, person: int, channel: str) -> bool:
    holding = await consents.in_force(connection, asked.app, person)
    meant = [entry for entry in holding if entry.topic == asked.topic and entry.channel in {channel, consents.EVERY}]
    said = [(entry.recorded_at, entry.state) for entry in meant if entry.recorded_at is not None]
    return bool(said) and max(said)[1] == "withdrawn"


async def _channel(connection: Connection, asked: Unsubscribe) -> str:
    """Of the endpoint that the message went to; mail, where it went to an address that is none."""
    found = None if asked.endpoint_id is None else await people.channel_of(connection, asked.app, asked.endpoint_id)
    return found or "email"


async def _values(connection: Connection, asked: Unsubscribe) -> dict[str, str]:
    return {
        "app": await apps.name(connection, asked.app),
        "topic": asked.topic.replace("_", " "),
        "channel": {"sms": "text message", "push": "push notification"}.get(channel := await _channel(connection, asked), channel),
    }


def _unknown() -> HTMLResponse:
    return page("unknown_link.html", {}, status=404)
