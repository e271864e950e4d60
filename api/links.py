"""The page that a link in a message opens to leave a topic. Looking changes nothing, for scanners follow links; POST acts (RFC 8058)."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from activities.choices import choices_of
from activities.subscribing import BY_USER, is_about
from api.readers import Visit, choices_path, database_of, read, show, shown_here, unknown, visit
from channels.links import UNSUBSCRIBE_PATH, Unsubscribe, read_unsubscribe
from storage import consents, people, topics
from storage.consents import ConsentRecord
from storage.database import Connection
from storage.standing import lock_person
from storage.topics import Topic

router = APIRouter(tags=["Links in messages"])
SOURCE = "unsubscribe_link"
UNDO_SOURCE = "unsubscribe_undone"


@dataclass(frozen=True)
class _Leaving:
    """Who leaves what."""

    by: Visit
    topic: Topic
    channel: str
    endpoint_id: int | None

    def page(self, request: Request, name: str, **values: object) -> HTMLResponse:
        filled = {"topic": self.topic.title, "channel": self.by.channel(self.channel)}
        return show(name, self.by, {"choices_path": choices_path(request, self.by, self.endpoint_id), **values}, **filled)


@router.get(f"{UNSUBSCRIBE_PATH}{{token}}", response_class=HTMLResponse, summary="The page to leave a topic")
async def show_unsubscribe(request: Request, token: str) -> HTMLResponse:
    """Shows what leaving would mean, and a button. Changes nothing."""
    asked = read(request, read_unsubscribe, token)
    if asked is None:
        return unknown(request)
    async with database_of(request).transaction(asked.app) as connection:
        leaving = await _leaving(connection, request, asked)
    return leaving.page(request, "unsubscribe.html") if leaving else unknown(request)


@router.post(f"{UNSUBSCRIBE_PATH}{{token}}", response_class=HTMLResponse, summary="Leave a topic")
async def unsubscribe(request: Request, token: str) -> HTMLResponse:
    """Leaves at once, for this person, channel and topic, by a click here or by the mail program's own button (RFC 8058).

    The body is not looked at, no cookie is asked for, and a repeat changes nothing.
    """
    asked = read(request, read_unsubscribe, token)
    if asked is None:
        return unknown(request)
    async with database_of(request).transaction(asked.app) as connection:
        # The lock that a claim takes: a message that is claimed after this answer will not go out.
        leaving = await _locked(connection, request, asked)
        if leaving is None:
            return unknown(request)
        if await _last_word(connection, leaving) != "withdrawn":
            await consents.write(connection, asked.app, leaving.by.user_id, _record(leaving, "unsubscribe_lead", is_on=False))
    return leaving.page(request, "unsubscribed.html", undo_path=f"{UNSUBSCRIBE_PATH}{token}/undo")


@router.get(f"{UNSUBSCRIBE_PATH}{{token}}/undo", response_class=HTMLResponse, include_in_schema=False)
async def show_undo(request: Request, token: str) -> HTMLResponse:
    """Somebody who comes back to this address is shown the page before, and nothing is changed."""
    return await show_unsubscribe(request, token)


@router.post(f"{UNSUBSCRIBE_PATH}{{token}}/undo", response_class=HTMLResponse, summary="Take leaving back")
async def undo_unsubscribe(request: Request, token: str) -> HTMLResponse:
    """Subscribes to the topic again on this channel, which counts as a consent. Does not open a channel that was closed altogether."""
    asked = read(request, read_unsubscribe, token)
    if asked is None:
        return unknown(request)
    async with database_of(request).transaction(asked.app) as connection:
        leaving = await _locked(connection, request, asked)
        if leaving is None:
            return unknown(request)
        if await _last_word(connection, leaving) != "granted":
            await consents.write(connection, asked.app, leaving.by.user_id, _record(leaving, "undo_do", is_on=True))
        said = await consents.in_force(connection, asked.app, leaving.by.user_id)
        stands = choices_of([], said, {leaving.channel})
    is_open = any(box.stands == "on" for box in stands.channels)
    return leaving.page(request, "resubscribed.html", is_open=is_open)


async def _locked(connection: Connection, request: Request, asked: Unsubscribe) -> _Leaving | None:
    person = await lock_person(connection, asked.app, asked.user_id)
    return await _leaving(connection, request, asked) if person else None


async def _leaving(connection: Connection, request: Request, asked: Unsubscribe) -> _Leaving | None:
    by = await visit(connection, request, asked.app, asked.user_id)
    if by is None:
        return None
    # Of the endpoint that the message went to; mail, where it went to an address that is none.
    found = None if asked.endpoint_id is None else await people.channel_of(connection, asked.app, asked.endpoint_id)
    return _Leaving(by, await topics.of_name(connection, asked.app, asked.topic), found or "email", asked.endpoint_id)


async def _last_word(connection: Connection, leaving: _Leaving) -> str | None:
    said = await consents.history(connection, leaving.by.app, leaving.by.user_id)
    return next((each.state for each in reversed(said) if is_about(each, leaving.channel, leaving.topic.name)), None)


def _record(leaving: _Leaving, text: str, *, is_on: bool) -> ConsentRecord:
    words = leaving.by.words[text].format(topic=leaving.topic.title, channel=leaving.by.channel(leaving.channel))
    shown, name = shown_here(words), leaving.topic.name
    if is_on:
        return ConsentRecord(leaving.channel, name, "granted", UNDO_SOURCE, shown=shown, recorded_by=BY_USER)
    return ConsentRecord(leaving.channel, name, "withdrawn", SOURCE, shown=shown, recorded_by=BY_USER)
