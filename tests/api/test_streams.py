"""Streams of in-app messages: live, resumed, bounded, and never anybody else's. A real server is asked where it matters."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from api import streams
from api.clients import Client, client_token
from api.errors import TooManyRequests
from api.streams import EventStream, Streams, frames, position_of
from journeys.language.errors import Unavailable
from settings import Settings
from storage import keys
from storage.database import Database
from storage.in_app import START, Shown
from storage.notify import IN_APP, Notifier
from tests.api.readers import add_person, show
from tests.api.serving import Served, serving

PATIENCE_S = 60


@dataclass(frozen=True)
class Frame:
    id: str
    event: str
    data: Mapping[str, Any]


class Listening:
    """One open stream of a real server."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> Frame:
        """The next event; comments and the time to reconnect are left out."""
        async with asyncio.timeout(PATIENCE_S):
            fields: dict[str, str] = {}
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if not line and "event" in fields:
                    return Frame(fields["id"], fields["event"], json.loads(fields["data"]))
                fields = {**fields, name: value} if line else {}
        raise EOFError

    async def ended(self) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            try:
                while True:
                    await self.next()
            except EOFError:
                return True


@asynccontextmanager
async def listening(served: Served, token: str, last_event_id: str | None = None) -> AsyncIterator[Listening]:
    headers = {"last-event-id": last_event_id} if last_event_id else {}
    async with (
        httpx.AsyncClient(base_url=served.url, timeout=PATIENCE_S) as client,
        client.stream("GET", "/v1/in-app/stream", params={"token": token}, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["access-control-allow-origin"] == "*"
        yield Listening(response)


def token_of(user_id: str, seconds: float = 600) -> str:
    return client_token(Settings(), Client("demo", user_id, time.time() + seconds))


@pytest.fixture
async def people(database: Database) -> None:
    for user_id in ("ada", "eve"):
        await add_person(database, user_id)


@pytest.mark.usefixtures("people")
async def test_what_is_shown_and_dismissed_comes_to_its_person_only_and_goes_on_where_it_was_cut(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    notify = Notifier(database_url)

    async def shown(user_id: str, **content: Any) -> UUID:
        message_id = await show(database, user_id, content)
        notify(IN_APP)
        return message_id

    first = await shown("ada", body="before")
    with serving(database_url, tmp_path) as served:
        async with listening(served, token_of("ada")) as ada, listening(served, token_of("eve")) as eve:
            assert (await ada.next()).data["body"] == "before"
            assert (await ada.next()).data == {"unread": 0}
            assert (await eve.next()).data == {"unread": 0}
            await shown("ada", body="live", inbox=True)
            frame = await ada.next()
            assert (frame.event, frame.data["body"]) == ("message", "live")
            inbox = await ada.next()
            assert (inbox.event, inbox.data) == ("inbox", {"unread": 1})
            async with httpx.AsyncClient(base_url=served.url, headers={"authorization": f"Bearer {token_of('ada')}"}) as client:
                await client.post(f"/v1/in-app/{first}/events", json={"id": "e", "kind": "dismiss"})
            gone = await ada.next()
            assert (gone.event, gone.data) == ("gone", {"id": str(first)})
            # Everything of Ada's went by; the first thing that Eve hears is her own.
            await shown("eve", body="Eve's")
            assert (await eve.next()).data["body"] == "Eve's"
        await shown("ada", body="while away")
        async with listening(served, token_of("ada"), last_event_id=gone.id) as ada:
            assert (await ada.next()).data["body"] == "while away"
        async with listening(served, token_of("ada"), last_event_id="what we never wrote") as ada:
            assert {(await ada.next()).data["body"] for _ in range(2)} == {"live", "while away"}
    await notify.close()


@pytest.mark.usefixtures("people")
async def test_a_user_has_five_streams_and_a_stopping_process_ends_them(database: Database, database_url: str, tmp_path: Path) -> None:
    async with database.transaction() as connection:
        secret = await keys.create(connection, "demo", "secret")
    with serving(database_url, tmp_path) as served:
        async with httpx.AsyncClient(base_url=served.url) as client:
            made = await client.post("/v1/users/ada/client-token", headers={"authorization": f"Bearer {secret}"})
            token = made.json()["client_token"]
            opened = [listening(served, token) for _ in range(5)]
            streams_of_ada = [await each.__aenter__() for each in opened]
            for each in streams_of_ada:
                assert (await each.next()).event == "inbox"
            refused = await client.get("/v1/in-app/stream", params={"token": token})
            assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (429, "*")
            assert int(refused.headers["retry-after"]) >= 1
            async with listening(served, token_of("eve")) as eve:
                assert (await eve.next()).event == "inbox"
    # The server was told to stop: it did not wait for streams that never end.
    assert all([await each.ended() for each in streams_of_ada])
    for one in opened:
        await one.__aexit__(None, None, None)


# Without a socket -----------------------------------------------------------------------------------------------------


def client_of(user_id: str, seconds: float = 600) -> Client:
    return Client("demo", user_id, time.time() + seconds)


async def test_a_process_has_so_many_places_and_gives_them_back(database: Database, database_url: str) -> None:
    held = Streams(database, database_url, 2)
    first = held.open(client_of("ada"))
    held.open(client_of("eve"))
    with pytest.raises(Unavailable):
        held.open(client_of("bob"))
    for _ in range(2):
        first.close()
    held.open(client_of("bob"))
    assert held.count == 2
    await held.close()


@pytest.mark.usefixtures("people")
async def test_who_comes_just_when_the_last_one_leaves_hears_what_is_new(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_POLL_S", 0.05)
    held = Streams(database, database_url, 2)
    held.open(client_of("ada")).close()
    following = held.open(client_of("ada"))
    await show(database, "ada")
    await asyncio.wait_for(following.changed.wait(), PATIENCE_S)
    await held.close()


async def test_a_process_stops_watching_whatever_happens_at_that_moment(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Being told to stop and hearing of something new may come in the same turn of the loop."""

    async def news_all_the_time(_url: str, _channel: str, woken: Callable[[], None], _stopping: asyncio.Event) -> None:
        while True:
            woken()
            await asyncio.sleep(0)

    async def nothing(_streams: Streams) -> None: ...

    monkeypatch.setattr(streams, "listen", news_all_the_time)
    monkeypatch.setattr(streams, "_TOGETHER_S", 0)
    monkeypatch.setattr(Streams, "_tell", nothing)
    for turns in range(30):
        held = Streams(database, database_url, 2)
        held.open(client_of("ada"))
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(held.close(), 5)


async def test_one_user_cannot_take_every_place(database: Database, database_url: str) -> None:
    held = Streams(database, database_url, 100)
    for _ in range(5):
        held.open(client_of("ada"))
    with pytest.raises(TooManyRequests):
        held.open(client_of("ada"))
    held.open(client_of("eve"))
    await held.close()


def _written(row: Shown) -> bytes:
    return json.dumps(row.content).encode()


async def _read(app: FastAPI, client: Client, after: tuple[int, UUID] = START) -> tuple[list[bytes], Streams]:
    held: Streams = app.state.streams
    stream = held.open(client)
    got = [frame async for frame in frames(app, stream, client, after, _written)]
    stream.close()
    return got, held


@pytest.mark.usefixtures("people")
async def test_a_stream_ends_with_its_token(app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.05)
    await show(database, "ada")
    got, held = await _read(app, client_of("ada", seconds=1.5))
    assert b"event: message" in got[1]
    assert b": \n\n" in got
    assert held.count == 0
    await held.close()


@pytest.mark.usefixtures("people")
async def test_more_than_one_page_of_changes_comes_whole_and_once(
    app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "AT_ONCE", 3)
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.05)
    for n in range(8):
        await show(database, "ada", {"body": str(n)})
    held: Streams = app.state.streams
    told = []
    async for frame in frames(app, held.open(client_of("ada")), client_of("ada"), START, _written):
        if b"event: message" in frame:
            told.append(json.loads(frame.split(b"data: ")[1])["body"])
        if frame == b": \n\n":
            break
    assert told == [str(n) for n in range(8)]
    await held.close()


class Reader:
    """The other end of a stream, which takes `takes` frames and then no more."""

    def __init__(self, takes: int) -> None:
        self.frames: list[bytes] = []
        self._takes = takes
        self.is_stuck = asyncio.Event()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            if len(self.frames) >= self._takes:
                self.is_stuck.set()
                await asyncio.sleep(3600)
            self.frames.append(message["body"])

    async def receive(self) -> Any:
        await asyncio.sleep(3600)


@pytest.mark.usefixtures("people")
async def test_for_a_reader_that_takes_nothing_nothing_is_read_and_in_the_end_it_is_left(
    app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SLOW_S", 1.0)
    reads = 0

    def written(row: Shown) -> bytes:
        nonlocal reads
        reads += 1
        return _written(row)

    await show(database, "ada")
    held: Streams = app.state.streams
    stream = held.open(client_of("ada"))
    reader = Reader(takes=2)
    response = EventStream(frames(app, stream, client_of("ada"), START, written), stream)
    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    serving_it = asyncio.create_task(response(scope, reader.receive, reader.send))
    await asyncio.wait_for(reader.is_stuck.wait(), PATIENCE_S)
    for _ in range(20):
        await show(database, "ada")
    await asyncio.wait_for(serving_it, PATIENCE_S)
    assert reads == 1
    assert held.count == 0
    await held.close()


def test_a_position_is_read_back_and_nonsense_begins_anew() -> None:
    assert position_of("17.00000000-0000-0000-0000-000000000001") == (17, UUID(int=1))
    for nonsense in (None, "", "17", "x.y", "-5.00000000-0000-0000-0000-000000000001", "9" * 5000, "é.é"):
        assert position_of(nonsense) == START
