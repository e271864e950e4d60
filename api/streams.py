"""Streams of in-app messages (server-sent events): one ear on Postgres a process, and never more in memory than one answer a stream.

A stream remembers how far its client has heard and reads on from there when it is woken, and only when the client has taken what came
before. So a slow reader costs nothing, and a stream that was cut goes on where it was, on any process.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, cast
from uuid import UUID

import orjson
import structlog
from fastapi import FastAPI
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.clients import Client
from api.errors import TooManyRequests
from journeys.language.errors import Unavailable
from storage import in_app
from storage.database import Database
from storage.in_app import START, Position, Shown
from storage.listen import listen
from storage.notify import IN_APP

MOST_OF_A_USER = 5
HEARTBEAT_S = 15.0
# A reader that takes nothing for so long is gone, or as good as.
SLOW_S = 30.0
AT_ONCE = 50
# A NOTIFY may be lost; what it would have told is found by then.
_POLL_S = 5.0
_TOGETHER_S = 0.02
_ASKED_AT_ONCE = 500
_RECONNECT = b"retry: 2000\n\n"
_BEAT = b": \n\n"

log = structlog.get_logger()


class Stream:
    """One open stream. `changed` is set when there may be something to read, and when it must end."""

    def __init__(self, client: Client, leave: Callable[["Stream"], None]) -> None:
        self.client = client
        self.changed = asyncio.Event()
        self._leave = leave

    def close(self) -> None:
        self._leave(self)


class Streams:
    """The streams of one process. While there are any, one connection listens for changes."""

    def __init__(self, database: Database, url: str, most: int) -> None:
        self._database = database
        self._url = url
        self._most = most
        self._of: dict[tuple[str, str], set[Stream]] = {}
        self._known: dict[tuple[str, str], int] = {}
        self._count = 0
        self._watching: asyncio.Task[None] | None = None
        self.is_ending = False

    @property
    def count(self) -> int:
        return self._count

    def open(self, client: Client) -> Stream:
        """Take a place. Raises Unavailable when this process has no more, TooManyRequests when this user has enough."""
        whose = (client.app, client.user_id)
        if self._count >= self._most or self.is_ending:
            raise Unavailable("this process streams to as many as it may", retry_after_s=5.0)
        if len(self._of.get(whose, ())) >= MOST_OF_A_USER:
            raise TooManyRequests(f"this user has {MOST_OF_A_USER} streams already", 10.0)
        stream = Stream(client, self._close)
        self._of.setdefault(whose, set()).add(stream)
        self._count += 1
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        return stream

    def end(self) -> None:
        """Let every stream end by itself: their clients come back to another process."""
        self.is_ending = True
        self._wake(self._of)

    async def close(self) -> None:
        self.end()
        await self._stop_watching()

    def _close(self, stream: Stream) -> None:
        whose = (stream.client.app, stream.client.user_id)
        theirs = self._of.get(whose, set())
        if stream not in theirs:
            return
        theirs.discard(stream)
        self._count -= 1
        if not theirs:
            del self._of[whose]
            self._known.pop(whose, None)
        if not self._count and self._watching is not None:
            # Who opens the next stream starts to watch anew, though this one is still on its way out.
            self._watching.cancel()
            self._watching = None

    async def _stop_watching(self) -> None:
        task, self._watching = self._watching, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self) -> None:
        """Wake the streams whose person was shown something."""
        stopping, woken = asyncio.Event(), asyncio.Event()
        listening = asyncio.create_task(listen(self._url, IN_APP, woken.set, stopping))
        try:
            while True:
                woken.clear()
                await self._tell()
                # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S):
                        await woken.wait()
                await asyncio.sleep(_TOGETHER_S)
        finally:
            listening.cancel()

    async def _tell(self) -> None:
        people = list(self._of)
        try:
            for first in range(0, len(people), _ASKED_AT_ONCE):
                part = people[first : first + _ASKED_AT_ONCE]
                async with self._database.transaction() as connection:
                    now = await in_app.revisions(connection, part)
                self._wake(whose for whose in part if now.get(whose) != self._known.get(whose))
                self._known |= {whose: revision for whose, revision in now.items() if whose in self._of}
        except Unavailable as away:
            log.warning("streams_wait", reason=str(away))

    def _wake(self, people: Any) -> None:
        for whose in people:
            for stream in self._of.get(whose, ()):
                stream.changed.set()


def position_of(last_event_id: str | None) -> Position:
    """Read where a stream was cut; what we did not write begins anew."""
    revision, _, message_id = (last_event_id or "").partition(".")
    try:
        found = int(revision[:18]), UUID(message_id)
    except ValueError:
        return START
    return found if found[0] > 0 else START


async def frames(app: FastAPI, stream: Stream, client: Client, after: Position, written: Callable[[Shown], bytes]) -> AsyncIterator[bytes]:
    """What a client has not heard yet, as it comes, until its token ends or the process does."""
    database: Database = app.state.database
    streams: Streams = app.state.streams
    yield _RECONNECT
    is_first = True
    while not streams.is_ending and time.time() < client.expires_at:
        stream.changed.clear()
        try:
            async with database.transaction(client.app) as connection:
                rows = await in_app.changes(connection, client.app, client.user_id, after, AT_ONCE)
                tells_inbox = is_first or any(row.in_inbox for row in rows)
                unread = await in_app.unread(connection, client.app, client.user_id) if tells_inbox else 0
        except Unavailable:
            rows, tells_inbox, unread = [], False, 0
        for frame in _told(rows, written, says_gone=after != START):
            yield frame
        if rows:
            after = (rows[-1].revision, rows[-1].id)
        if tells_inbox:
            yield _frame("inbox", orjson.dumps({"unread": unread}), after)
            is_first = False
        if len(rows) < AT_ONCE and not await _is_woken(stream, client):
            yield _BEAT


async def _is_woken(stream: Stream, client: Client) -> bool:
    """Wait for news, at most until it is time to show that we are there. False: nothing came."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, min(HEARTBEAT_S, client.expires_at - time.time()))):
            await stream.changed.wait()
        return True
    return False


def _told(rows: Sequence[Shown], written: Callable[[Shown], bytes], *, says_gone: bool) -> Iterator[bytes]:
    for row in rows:
        at = (row.revision, row.id)
        if row.is_active:
            yield _frame("message", written(row), at)
        elif says_gone and row.placement != "inbox":
            yield _frame("gone", orjson.dumps({"id": str(row.id)}), at)


def _frame(event: str, data: bytes, at: Position) -> bytes:
    """JSON has no line break in it, so it is one line of data."""
    return b"id: %d.%s\nevent: %s\ndata: %s\n\n" % (at[0], str(at[1]).encode(), event.encode(), data)


class EventStream(StreamingResponse):
    """Writes frames one by one, each when the one before was taken; leaves a reader that takes nothing."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncIterator[bytes], stream: Stream, status_code: int = 200) -> None:
        super().__init__(content, status_code, headers={"X-Accel-Buffering": "no"})
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stream.close()
            await cast("Any", self.body_iterator).aclose()

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for frame in self.body_iterator:
            try:
                async with asyncio.timeout(SLOW_S):
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
            except TimeoutError:
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
