"""How often a key may ask, and what it is told."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.limits import Limits
from settings import Settings
from storage import keys
from storage.database import Database

MAIL = {"channel": "email", "address": "ann@example.com", "content": {"subject": "Hi", "text": "There", "from": "us@example.com"}}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_ten_seconds_worth_and_then_it_is_the_rate() -> None:
    clock = Clock()
    limits = Limits({"manage": 2, "send": 0, "ingest": 0}, clock)
    taken = [limits.take("one", "manage") for _ in range(21)]
    assert [each is not None and each.wait_s == 0 for each in taken] == [True] * 20 + [False]
    assert taken[0] is not None
    assert (taken[0].limit, taken[0].remaining, taken[0].reset_s) == (20, 19, 1)
    assert taken[20] is not None
    assert taken[20].wait_s == 0.5
    clock.now += 0.5
    assert [each.wait_s for each in (limits.take("one", "manage"), limits.take("one", "manage")) if each] == [0, 0.5]
    other = limits.take("other", "manage")
    assert other is not None
    assert other.wait_s == 0
    assert limits.take("one", "send") is None


@pytest.fixture
async def slow(database: Database, database_url: str) -> AsyncIterator[FastAPI]:
    app = create_app(Settings(database_url=database_url, manage_rate=1, send_rate=1, ingest_rate=1), database)
    yield app
    await app.state.notify.close()
    await app.state.renderer.close()


@pytest.mark.parametrize(
    ("kind", "method", "path", "body"),
    [
        ("secret", "GET", "/v1/users", None),
        ("secret", "POST", "/v1/messages", MAIL),
        ("write", "POST", "/v1/track", {"userId": "ann", "event": "seen"}),
    ],
)
async def test_who_asks_too_often_is_told_when_to_come_back(
    slow: FastAPI, database: Database, kind: str, method: str, path: str, body: object
) -> None:
    async with database.transaction() as connection:
        key = await keys.create(connection, "demo", kind)
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(slow), base_url="http://sojourn", headers=headers) as client:
        answers = [await client.request(method, path, json=body) for _ in range(12)]
    assert {answer.status_code for answer in answers[:10]} <= {200, 202}
    assert (answers[0].headers["ratelimit-limit"], answers[0].headers["ratelimit-remaining"]) == ("10", "9")
    last = answers[-1]
    assert (last.status_code, last.json()["code"], last.headers["ratelimit-remaining"]) == (429, "too_many_requests", "0")
    assert int(last.headers["retry-after"]) >= 1
    assert last.headers.get("x-ratelimit-reset") == (last.headers["retry-after"] if kind == "write" else None)
