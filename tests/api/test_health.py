import asyncio
import signal
import socket
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from api import health
from api.app import create_app
from api.server import server
from settings import Settings
from storage.database import Database
from storage.migrations.runner import migrate

NOWHERE = "postgresql+asyncpg://sojourn@127.0.0.1:9/none"


@pytest.fixture
async def without_postgres() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(Settings(database_url=NOWHERE))), base_url="http://sojourn")


async def test_it_is_ready_when_postgres_answers_with_the_right_schema(client: httpx.AsyncClient) -> None:
    assert [(await client.get(path)).status_code for path in ("/livez", "/readyz", "/startupz")] == [200, 200, 200]


async def test_without_postgres_it_lives_but_is_not_ready(without_postgres: httpx.AsyncClient) -> None:
    statuses = [(await without_postgres.get(path)).status_code for path in ("/livez", "/readyz", "/startupz", "/metrics")]
    assert statuses == [200, 503, 503, 200]
    assert int((await without_postgres.get("/readyz")).headers["retry-after"]) >= 1


async def test_it_is_not_ready_before_the_migrations(client: httpx.AsyncClient, database_url: str) -> None:
    await migrate(database_url, "base")
    assert (await client.get("/readyz")).status_code == 503


async def test_a_slow_postgres_is_not_ready(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "READY_WITHIN_S", 0.0)
    assert (await client.get("/readyz")).status_code == 503


async def test_started_stays_started_when_postgres_goes(app: FastAPI, client: httpx.AsyncClient) -> None:
    assert (await client.get("/startupz")).status_code == 200
    app.state.database = Database(NOWHERE)
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/startupz")).status_code == 200


async def test_metrics_show_what_waits_and_how_long_requests_took(client: httpx.AsyncClient, database: Database) -> None:
    await client.get("/livez")
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO outbox (shard, app, user_id, kind, created_at) VALUES (3, 'demo', 1, 'event', now() - interval '1 hour'),"
            " (5, 'demo', 2, 'event', now())"
        )
        await connection.exec_driver_sql(
            "INSERT INTO messages (id, app, source, step, visit, target, channel, message_class, state, reason) VALUES"
            " (message_id(now(), 'demo', 's', 'hi', 0, 't'), 'demo', 's', 'hi', 0, 't', 'email', 'marketing', 'skipped', 'suppressed')"
        )
    lines = (await client.get("/metrics")).text
    assert "sojourn_outbox_rows 2.0" in lines
    assert "sojourn_outbox_age_seconds 36" in lines
    assert 'sojourn_messages{app="demo",channel="email",reason="suppressed",state="skipped"} 1.0' in lines
    assert 'sojourn_request_seconds_count{method="GET",route="/livez",status="200"}' in lines


async def test_a_second_scrape_does_not_ask_postgres_again(app: FastAPI, client: httpx.AsyncClient) -> None:
    await client.get("/metrics")
    app.state.database = Database(NOWHERE)
    assert "sojourn_postgres_up 1.0" in (await client.get("/metrics")).text


@pytest.fixture
def _sigterm_is_survived() -> Iterator[None]:
    """uvicorn raises the signal again when it has ended, which would end the tests."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_sigterm_is_survived")
async def test_sigterm_turns_readyz_to_503_before_connections_are_refused(app: FastAPI) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    serving = server(app, host="127.0.0.1", port=0, drain_s=0.3)
    task = asyncio.create_task(serving.serve([listener]))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
        assert (await client.get("/readyz")).status_code == 200
        signal.raise_signal(signal.SIGTERM)
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200
    await task
