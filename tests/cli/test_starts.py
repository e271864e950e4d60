"""`sojourn enrollments start`: what it says when somebody was let in, was refused, or nobody has decided yet."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from journeys.language import Journey, Wait, days, requested
from journeys.language.codec import content_hash, to_json
from storage import journeys, outbox, people
from storage.database import Database
from storage.outbox import SHARDS
from tests.cli.conftest import Command
from workflows.definitions import Definitions
from workflows.entry import Entry

BY_HAND = Journey("by-hand", starts_on=requested(), steps=[Wait("long", days(3))])
_DECIDED = text("DELETE FROM outbox WHERE shard = :shard AND seq = :seq")


@pytest.fixture
async def known(served: FastAPI, database: Database) -> None:
    async with database.transaction() as connection:
        await journeys.publish(
            connection,
            "demo",
            name="by-hand",
            definition=to_json(BY_HAND).decode(),
            content_hash=content_hash(BY_HAND),
            entry_names=(),
            listen_names=(),
        )
        await connection.exec_driver_sql("INSERT INTO users (app, user_id) VALUES ('demo', 'ann')")
        await connection.exec_driver_sql("INSERT INTO identities (app, kind, value, user_id) SELECT app, 'u', user_id, id FROM users")
        assert await people.find(connection, "demo", "ann") is not None


@asynccontextmanager
async def deciding(database: Database) -> AsyncIterator[None]:
    """What a worker's relay does with requests, without Temporal, until the block ends."""

    async def decide() -> None:
        entry = Entry(Definitions())
        while True:
            async with database.transaction() as connection:
                for row in await outbox.due(connection, range(SHARDS), 100):
                    assert row.request is not None
                    await entry.admit(connection, row.app, row.user_id, row.request)
                    await connection.execute(_DECIDED, {"shard": row.shard, "seq": row.seq})
            await asyncio.sleep(0.05)

    task = asyncio.create_task(decide())
    try:
        yield
    finally:
        task.cancel()


@pytest.mark.usefixtures("known")
async def test_who_is_let_in_is_named_with_the_enrollment(sojourn: Command, database: Database) -> None:
    async with deciding(database):
        words = await sojourn("enrollments", "start", "by-hand", "ann", "--properties", json.dumps({"from": "support"}))
        assert words.startswith("ann entered by-hand: enrollment ")
        again = await sojourn("enrollments", "start", "by-hand", "ann", code=1)
    assert "ann was not let in: " in again
    assert "already_in" in again


@pytest.mark.usefixtures("known")
async def test_without_a_worker_it_says_so(sojourn: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.starts.LOOK_FOR_S", 0.1)
    assert "No worker has decided yet" in await sojourn("enrollments", "start", "by-hand", "ann")


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "ann"), "there is no journey nowhere"),
        (("by-hand", "nobody"), "nothing was heard of this user yet"),
        (("by-hand", "ann", "--properties", "[1]"), "--properties is no JSON object"),
        (("by-hand", "ann", "--properties", "{broken"), "--properties is no JSON object"),
    ],
)
async def test_what_is_not_there_is_said(sojourn: Command, arguments: tuple[str, ...], words: str) -> None:
    assert words in await sojourn("enrollments", "start", *arguments, code=1)
