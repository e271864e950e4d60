"""What `sojourn dev` makes in an empty database: the tables, the first app, its keys."""

import asyncio
import time
from dataclasses import dataclass, replace

from cli.local_keys import LocalKeys, keep_keys, read_keys
from storage import apps, journeys, keys, outbox
from storage.database import Connection, Database
from storage.migrations.runner import migrate


@dataclass(frozen=True)
class Prepared:
    keys: LocalKeys
    has_journeys: bool


async def prepare(database_url: str, app: str, *, url: str, temporal_address: str) -> Prepared:
    """Migrate, make the app and its keys unless they are there, and leave keys and servers where other commands find them."""
    await migrate(database_url)
    database = Database(database_url, pool_size=1)
    try:
        async with database.transaction() as connection:
            await apps.create(connection, app)
            kept = replace(await _keys(connection, app), url=url, database_url=database_url, temporal_address=temporal_address)
            known = await journeys.states(connection, app)
    finally:
        await database.close()
    keep_keys(kept)
    return Prepared(kept, has_journeys=bool(known))


async def wait_for_a_worker(database_url: str, timeout_s: float = 30) -> None:
    """Wait until a worker says which functions there are: journeys that call them cannot be published before."""
    database = Database(database_url, pool_size=1)
    deadline = time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline:
            async with database.transaction() as connection:
                if await outbox.announced(connection) is not None:
                    return
            await asyncio.sleep(0.1)
    finally:
        await database.close()


async def _keys(connection: Connection, app: str) -> LocalKeys:
    kept = read_keys()
    if kept is not None and kept.app == app and await _works(connection, kept.write_key) and await _works(connection, kept.secret_key):
        return kept
    return LocalKeys(
        url="",
        app=app,
        write_key=await keys.create(connection, app, "write", "sojourn dev"),
        secret_key=await keys.create(connection, app, "secret", "sojourn dev"),
    )


async def _works(connection: Connection, key: str) -> bool:
    parts = keys.parse(key)
    return parts is not None and await keys.find(connection, parts.id) is not None
