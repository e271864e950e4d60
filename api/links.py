"""The page that a link in a message opens to leave a topic. Looking changes nothing, for scanners follow links; POST acts (RFC 8058)."""

from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import HTMLResponse

from activities.choices import choices_of
from activities.subscribing import BY_USER, last_word
from api.readers import Visit, choices_path, page_router, read, show, visit
from api.strict import Db
from channels.links import UNSUBSCRIBE_PATH, Unsubscribe, read_unsubscribe
from storage import consents, people, topics
from storage.consents import ConsentRecord, Shown
from storage.database import Connection
from storage.standing import lock_person
from storage.topics import Topic

router = page_router()
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
        return show(name, self.by, {"choices_path": choices_path(request, self.by, self.endpoint_id), **values}, **self._filled())

    def shown(self, key: str) -> Shown:
        """What of the page is kept with a choice: its words, and neither address nor browser."""
        return Shown(self.by.words[key].format(**self._filled()))

    def _filled(self) -> dict[str, str]:
        return {"topic": self.topic.title, "channel": self.by.channel(self.channel)}


@router.get(f"{UNSUBSCRIBE_PATH}{{token}}", response_class=HTMLResponse, summary="The page to leave a topic")
async def show_unsubscribe(request: Request, database: Db, token: str) -> HTMLResponse:
    """Shows what leaving would mean, and a button. Changes nothing."""
    asked = read(request, read_unsubscribe, token)
    async with database.transaction(asked.app) as connection:
        leaving = await _leaving(connection, request, asked)
    return leaving.page(request, "unsubscribe.html")


@router.post(f"{UNSUBSCRIBE_PATH}{{token}}", response_class=HTMLResponse, summary="Leave a topic")
async def unsubscribe(request: Request, database: Db, token: str) -> HTMLResponse:
    """Leaves at once, for this person, channel and topic, by a click here or by the mail program's own button (RFC 8058).

    The body is not looked at, no cookie is asked for, and a repeat changes nothing.
    """
    asked = read(request, read_unsubscribe, token)
    async with database.transaction(asked.app) as connection:
        leaving = await _locked(connection, request, asked)
        record = ConsentRecord(
            leaving.channel, asked.topic, "withdrawn", SOURCE, shown=leaving.shown("unsubscribe_lead"), recorded_by=BY_USER
        )
        await _say(connection, leaving, record)
    return leaving.page(request, "unsubscribed.html", undo_path=f"{UNSUBSCRIBE_PATH}{token}/undo")


@router.get(f"{UNSUBSCRIBE_PATH}{{token}}/undo", response_class=HTMLResponse, include_in_schema=False)
async def show_undo(request: Request, database: Db, token: str) -> HTMLResponse:
    """Somebody who comes back to this address is shown the page before, and nothing is changed."""
    return await show_unsubscribe(request, database, token)


@router.post(f"{UNSUBSCRIBE_PATH}{{token}}/undo", response_class=HTMLResponse, summary="Take leaving back")
async def undo_unsubscribe(request: Request, database: Db, token: str) -> HTMLResponse:
    """Subscribes to the topic again on this channel, which counts as a consent. Does not open a channel that was closed altogether."""
    asked = read(request, read_unsubscribe, token)
    async with database.transaction(asked.app) as connection:
        leaving = await _locked(connection, request, asked)
        record = ConsentRecord(leaving.channel, asked.topic, "granted", UNDO_SOURCE, shown=leaving.shown("undo_do"), recorded_by=BY_USER)
        await _say(connection, leaving, record)
        said = await consents.in_force(connection, asked.app, leaving.by.user_id)
        stands = choices_of([], said, {leaving.channel})
    is_open = any(box.stands == "on" for box in stands.channels)
    return leaving.page(request, "resubscribed.html", is_open=is_open)


async def _locked(connection: Connection, request: Request, asked: Unsubscribe) -> _Leaving:
    # The lock that a claim takes: a message that is claimed after the answer keeps to it.
    await lock_person(connection, asked.app, asked.user_id)
    return await _leaving(connection, request, asked)


async def _leaving(connection: Connection, request: Request, asked: Unsubscribe) -> _Leaving:
    by = await visit(connection, request, asked.app, asked.user_id)
    # Of the endpoint that the message went to; mail, where it went to an address that is none.
    found = None if asked.endpoint_id is None else await people.channel_of(connection, asked.app, asked.endpoint_id)
    return _Leaving(by, await topics.of_name(connection, asked.app, asked.topic), found or "email", asked.endpoint_id)


async def _say(connection: Connection, leaving: _Leaving, record: ConsentRecord) -> None:
    """Record it, unless it was their last word already."""
    app, user_id = leaving.by.app, leaving.by.user_id
    if await last_word(connection, app, user_id, record.channel, record.topic) != record.state:
        await consents.write(connection, app, user_id, record)
