"""A served API beside the commands that speak to it. Commands are synchronous, so they run in a thread."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.server import Server, server
from cli.sojourn import run
from settings import Settings
from storage import keys
from storage.database import Database

Command = Callable[..., Awaitable[str]]


@pytest.fixture
async def served(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[FastAPI]:
    """The API on a port of its own, with SOJOURN_URL and SOJOURN_KEY set, in an empty folder."""
    app = create_app(Settings(database_url=database_url), database)
    listener = socket.create_server(("127.0.0.1", 0))
    async with database.transaction() as connection:
        key = await keys.create(connection, "demo", "secret")
    monkeypatch.setenv("SOJOURN_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.setenv("SOJOURN_KEY", key)
    monkeypatch.chdir(tmp_path)
    serving: Server = server(app, host="127.0.0.1", port=0)
    # Without uvicorn's signal handlers, which belong to the process.
    task = asyncio.create_task(serving._serve([listener]))
    yield app
    serving.should_exit = True
    await task


@pytest.fixture
def sojourn(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command and give what it printed; `code` is the exit code that it must have."""

    async def command(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        ended = await asyncio.to_thread(run, arguments)
        printed = capsys.readouterr()
        assert ended == code, printed.err
        return "\n".join(line for line in (printed.out + printed.err).splitlines() if " request  " not in line)

    return command
