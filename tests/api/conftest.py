"""The application on a fresh database, spoken to over HTTP without a socket."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from settings import Settings
from storage import keys
from storage.database import Database
from tests.api.callbacks import PHONE, Callbacks
from tests.channels.callers import CERTIFICATE_URL, sns_certificate


@pytest.fixture
async def app(database: Database, database_url: str) -> AsyncIterator[FastAPI]:
    app = create_app(Settings(database_url=database_url), database)
    yield app
    await app.state.notify.close()
    await app.state.renderer.close()
    await app.state.fetching.close()
    await app.state.sources.close()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sojourn") as client:
        yield client


@pytest.fixture
async def world(app: FastAPI, database: Database, client: httpx.AsyncClient) -> Callbacks:
    """Ann with an address on each channel, and whoever provides it."""
    app.state.fetching.remember(CERTIFICATE_URL, sns_certificate())
    made = Callbacks(database, client)
    await made.endpoint("ann", "email", "ann@example.com")
    for channel in ("sms", "whatsapp", "voice"):
        await made.endpoint("ann", channel, PHONE)
    return made


@pytest.fixture
async def secret_key(database: Database) -> str:
    async with database.transaction() as connection:
        return await keys.create(connection, "demo", "secret")


@pytest.fixture
async def manager(app: FastAPI, secret_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a secret key of the app demo."""
    headers = {"authorization": f"Bearer {secret_key}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sojourn", headers=headers) as client:
        yield client
