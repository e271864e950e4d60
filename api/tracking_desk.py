"""Reads the tokens of links and pixels, knows where links lead, and writes hits down; works on from memory while Postgres is away."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import structlog

from channels.tracking import Mark, read_click, read_open
from journeys.language.errors import Unavailable
from storage import apps, tracked_links, tracking_hits
from storage.database import Database
from storage.tracking_hits import Hit

_MOST_URLS = 100_000
_MOST_KEPT = 10_000
_APPS_EVERY_S = 1.0
_WRITE_S = 1.0
_RETRY_S = 1.0
_log = structlog.get_logger()


class Desk:
    """One for a process. `secrets` are those that may have signed a link, the present one first."""

    def __init__(self, database: Database, secrets: Sequence[str]) -> None:
        self._database = database
        self._secrets = secrets
        self._apps: tuple[str, ...] = ()
        self._apps_read_at = float("-inf")
        self._urls: OrderedDict[tuple[UUID, bytes], str] = OrderedDict()
        self._kept: deque[Hit] = deque(maxlen=_MOST_KEPT)
        self._writing: asyncio.Task[None] | None = None

    async def clicked(self, token: str) -> Mark | None:
        """What the token of a link says, if we signed it. Raises Unavailable."""
        return read_click(token, self._secrets, self._apps) or read_click(token, self._secrets, await self._new_apps())

    async def opened(self, token: str) -> Mark | None:
        """What the token of a pixel says, if we signed it. Raises Unavailable."""
        return read_open(token, self._secrets, self._apps) or read_open(token, self._secrets, await self._new_apps())

    async def follow(self, mark: Mark, machine: str | None) -> str | None:
        """Where the link leads, or None. `machine` says why no person follows it, empty for one; None: it is not followed at all.

        Raises Unavailable where only Postgres knows and does not answer.
        """
        hit = None if machine is None else Hit(mark.app, mark.message_id, "click", mark.link, machine)
        known = self._urls.get((mark.message_id, mark.link))
        if known is None:
            return await self._find(mark, hit)
        if hit is not None:
            await self.note(hit)
        return known

    async def note(self, hit: Hit) -> None:
        """Write a hit down. While Postgres is away it is kept here and written later; nobody waits for that."""
        try:
            await self._write(hit)
        except (Unavailable, TimeoutError):
            self._keep(hit)

    async def close(self) -> None:
        """Try once more to write what was kept."""
        if self._writing is not None:
            self._writing.cancel()
        try:
            await self._write_kept()
        except (Unavailable, TimeoutError):
            _log.warning("hits_lost", count=len(self._kept))

    async def _find(self, mark: Mark, hit: Hit | None) -> str | None:
        async with self._database.transaction(mark.app) as connection:
            url = await tracked_links.find(connection, mark.app, mark.message_id, mark.link)
            if url is not None and hit is not None:
                await tracking_hits.note(connection, hit)
        if url is not None:
            self._urls[mark.message_id, mark.link] = url
            if len(self._urls) > _MOST_URLS:
                self._urls.popitem(last=False)
        return url

    async def _new_apps(self) -> Iterable[str]:
        """Apps that were made since the last look; looked for once a second at most, whatever tokens come."""
        if time.monotonic() - self._apps_read_at < _APPS_EVERY_S:
            return ()
        self._apps_read_at = time.monotonic()
        async with self._database.transaction() as connection:
            self._apps = tuple(await apps.ids(connection))
        return self._apps

    def _keep(self, hit: Hit) -> None:
        if len(self._kept) == _MOST_KEPT:
            _log.warning("hits_lost", count=1)
        self._kept.append(replace(hit, at=hit.at or datetime.now(UTC)))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_later())

    async def _write_later(self) -> None:
        while self._kept:
            await asyncio.sleep(_RETRY_S)
            try:
                await self._write_kept()
            except (Unavailable, TimeoutError):
                continue

    async def _write_kept(self) -> None:
        while self._kept:
            await self._write(self._kept[0])
            self._kept.popleft()

    async def _write(self, hit: Hit) -> None:
        async with asyncio.timeout(_WRITE_S), self._database.transaction(hit.app) as connection:
            await tracking_hits.note(connection, hit)
