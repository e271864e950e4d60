"""What a message says: the live template filled in with what is known of the person and their enrollment."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from activities.sending import Renders
from activities.sources import Render, SourceAway, Sources
from activities.tracking import Sent, Tracker
from activities.zones import locate
from channels.base import Content
from channels.render import RenderFailed
from storage import sources, suppressions, templates
from storage.database import Connection, Database
from storage.ids import address_hash
from storage.standing import Person, Standing

_MOST_TEMPLATES = 500
WEBHOOK = "webhook"


@dataclass(frozen=True)
class Filled:
    """A template version and the variables that go into it."""

    app: str
    template: str
    version: int
    channel: str
    variables: Mapping[str, Any]


class Contents:
    """Renders templates; a version never changes, so each is read from Postgres once a process."""

    def __init__(self, database: Database, renderer: Renders, tracker: Tracker | None = None, outside: Sources | None = None) -> None:
        self._database = database
        self._renderer = renderer
        self._tracker = tracker
        self._outside = outside
        self._files: dict[tuple[str, str, int], Mapping[str, str]] = {}
        self._being_read: dict[tuple[str, str, int], asyncio.Task[Mapping[str, str]]] = {}

    async def compose(self, filled: Filled, sent: Sent) -> Content:
        """The content as it leaves. Raises RenderFailed, or Unavailable when Postgres or the renderer does not answer, or a source.

        Many that are composed at the same moment share what is asked of sources.
        """
        files = await self._files_of(filled)

        async def render(rows: Mapping[str, Any]) -> Content:
            variables = {**filled.variables, "source": rows}
            return await self._renderer.render(filled.template, filled.version, files, filled.channel, variables)

        content = await (render({}) if self._outside is None else self._with_sources(self._outside, sent, render))
        return await self.complete(content, replace(sent, files=files))

    async def _with_sources(self, outside: Sources, sent: Sent, render: Render) -> Content:
        try:
            return await outside.filled(sent.app, render)
        except SourceAway as away:
            if await self._has_waited(sent.app, sent.message_id) <= away.at_most:
                raise
            raise RenderFailed(f"source_failed:{away.name}", "it was waited for") from away

    async def _has_waited(self, app: str, message_id: UUID) -> timedelta:
        async with self._database.transaction() as connection:
            return await sources.waited(connection, app, message_id)

    async def complete(self, content: Content, sent: Sent) -> Content:
        """What is rendered, or was given as it is, with counted links and a pixel.

        Raises RenderFailed where it names a URL that is suppressed, and Unavailable.
        """
        if content.channel == WEBHOOK:
            await self._refuse_dead(sent.app, content)
        return content if self._tracker is None else await self._tracker.track(content, sent)

    async def _refuse_dead(self, app: str, content: Content) -> None:
        """The content of a webhook names where it goes, which a claim cannot know."""
        digest = address_hash(app, content.channel, str(content.parts.get("url")))
        async with self._database.transaction() as connection:
            if await suppressions.get(connection, app, content.channel, digest) is not None:
                raise RenderFailed("suppressed")

    async def _files_of(self, filled: Filled) -> Mapping[str, str]:
        """Of many who need a new version at the same moment one reads it."""
        key = (filled.app, filled.template, filled.version)
        if key not in self._files:
            reading = self._being_read.get(key)
            if reading is None:
                reading = self._being_read[key] = asyncio.ensure_future(self._read(key))
                reading.add_done_callback(lambda _: self._being_read.pop(key, None))
            return await asyncio.shield(reading)
        return self._files[key]

    async def _read(self, key: tuple[str, str, int]) -> Mapping[str, str]:
        async with self._database.transaction() as connection:
            files = await _read(connection, *key)
        if len(self._files) >= _MOST_TEMPLATES:
            self._files.pop(next(iter(self._files)))
        self._files[key] = files
        return files


async def _read(connection: Connection, app: str, name: str, version: int) -> Mapping[str, str]:
    stored = await templates.version(connection, app, name, version)
    if stored is None:
        raise RenderFailed("no_template")
    return stored.files


def variables_of(
    person: Person | None,
    standing: Standing,
    *,
    device: Mapping[str, Any] | None = None,
    entry: Mapping[str, Any] | None = None,
    captured: Mapping[str, Mapping[str, Any]] | None = None,
    visit: int = 1,
    unsubscribe_url: str | None = None,
    preferences_url: str | None = None,
) -> dict[str, Any]:
    """The roots that a template may use. The caller's own id of the person is user.user_id, whatever an attribute of that name says.

    `device` is what is known of the address that this message goes to.
    """
    settings = standing.settings
    timezone, attributes = (person.timezone, person.attributes) if person else (None, {})
    return {
        "user": {**person.attributes, "user_id": person.user_id} if person else {},
        "device": device or {},
        "entry": entry or {},
        "captured": captured or {},
        "visit": visit,
        "links": {"unsubscribe": unsubscribe_url, "preferences": preferences_url},
        "app": {"name": standing.app_name, **{key: settings.get(key) for key in ("from", "reply_to", "postal_address")}},
        "source": {},
        "locale": person and (person.locale or attributes.get("locale")),
        "zone": locate(timezone, standing.phone, attributes, settings).zone.key,
    }
