"""Segment's own libraries, unmodified, deliver to a running server: Python from PyPI, Node from npm (into the user's cache folder)."""

import asyncio
import hashlib
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cli.temporal_binary import cache_folder
from storage import keys
from storage.database import Database
from tests.api.serving import serving

CLIENTS = Path(__file__).parents[1] / "clients"
NODE_FILES = ("package.json", "package-lock.json", "send.mjs")


async def run(*command: str | Path, folder: Path | None = None) -> None:
    """Run a program and show what it said when it fails."""
    done = await asyncio.to_thread(
        subprocess.run, [str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def node_folder() -> Path:
    """The Node library, installed by its lock into a folder that is named after it; kept between runs."""
    assert all(map(shutil.which, ("node", "npm"))), "this test needs Node 20 and npm on PATH"
    lock = (CLIENTS / "node" / "package-lock.json").read_bytes()
    folder = cache_folder() / "node-clients" / hashlib.sha256(lock).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for name in NODE_FILES:
        shutil.copy(CLIENTS / "node" / name, folder / name)
    if not (folder / "node_modules" / ".package-lock.json").exists():
        await run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
    return folder


async def rows(database: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    async with database.transaction() as connection:
        return [tuple(row) for row in await connection.execute(text(statement), values)]


async def check_that_all_arrived(database: Database, user: str) -> None:
    person = {"user": user}
    owner = "(SELECT user_id FROM identities WHERE kind = 'u' AND value = :user)"
    everyone = f"(SELECT id FROM users WHERE id = {owner} OR merged_into = {owner})"
    found = await rows(database, f"SELECT name, properties FROM events WHERE user_id IN {everyone} ORDER BY name", **person)
    assert dict(found) == {
        "grouped": {"groupId": "makers", "traits": {"size": 3}},
        "identified": {"email": f"{user}@example.com", "plan": "gold"},
        "page_viewed": {"name": "Home", "path": "/"},
        "product_viewed": {"sku": "a-1"},
        "signed_up": {},
    }
    assert len(found) == 5
    known = await rows(database, f"SELECT kind, value FROM identities WHERE user_id = {owner} ORDER BY kind, value", **person)
    assert known == [("a", f"{user}-before"), ("a", f"{user}-device"), ("u", user)]
    assert await rows(database, f"SELECT address FROM endpoints WHERE user_id = {owner}", **person) == [(f"{user}@example.com",)]
    ((occurred_at,),) = await rows(database, f"SELECT occurred_at FROM events WHERE name = 'signed_up' AND user_id IN {everyone}", **person)
    # Corrected by the difference of the clocks, which is the time on the way.
    assert abs(occurred_at - datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) < timedelta(seconds=60)


@pytest.mark.e2e
async def test_the_libraries_of_segment_deliver_every_call(database: Database, database_url: str, tmp_path: Path) -> None:
    async with database.transaction() as connection:
        key = await keys.create(connection, "demo", "write")
    node = await node_folder()
    with serving(database_url, tmp_path) as served:
        await run(sys.executable, CLIENTS / "python" / "send.py", served.url, key, "python-plain")
        await run(sys.executable, CLIENTS / "python" / "send.py", served.url, key, "python-gzip", "gzip")
        await run("node", "send.mjs", served.url, key, "node", folder=node)
    for user in ("python-plain", "python-gzip", "node"):
        await check_that_all_arrived(database, user)
