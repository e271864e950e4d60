"""Statements about sources: their immutable versions, the rows that are kept here, sealed headers, and messages that wait for one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from journeys.language.codec import source_from_json
from journeys.language.sources import Source
from storage.database import Connection
from storage.sealing import Seal

_AT_ONCE = 5_000


@dataclass(frozen=True)
class StoredSource:
    """A source as it is now. `secret` names the headers that are set, which are for `origin` alone.

    `rows_hash` is None where no rows were ever given.
    """

    name: str
    version: int
    hash: str
    definition: str
    published_at: datetime
    rows_hash: str | None
    row_count: int
    rows_at: datetime | None
    origin: str
    secret: tuple[str, ...]
    updated_at: datetime
    sealed: bytes = field(repr=False, default=b"")

    @property
    def source(self) -> Source:
        return read(self.definition)


@dataclass(frozen=True)
class SourceVersion:
    """One published version; `definition` is canonical JSON."""

    version: int
    hash: str
    definition: str
    published_at: datetime


@lru_cache(maxsize=256)
def read(definition: str) -> Source:
    """A stored definition as a value."""
    return source_from_json(definition)


def sealed_place(app: str, name: str) -> str:
    """What sealed headers are bound to, so that those copied to another row do not open."""
    return f"source/{app}/{name}"


_MAKE = text("""
    INSERT INTO sources (app, name, live_version) VALUES (:app, :name, 1)
    ON CONFLICT (app, name) DO UPDATE SET updated_at = now()
""")
_KNOWN = text("SELECT version FROM source_versions WHERE app = :app AND source = :name AND hash = :hash")
_ADD = text("""
    INSERT INTO source_versions (app, source, version, hash, definition)
    SELECT :app, :name, coalesce(max(version), 0) + 1, :hash, :definition
    FROM source_versions WHERE app = :app AND source = :name
    RETURNING version
""")
_GO_LIVE = text("UPDATE sources SET live_version = :version, updated_at = now() WHERE app = :app AND name = :name")


async def publish(connection: Connection, app: str, name: str, definition: str, content_hash: str) -> int:
    """Make this definition the live version and return its number. The same content gives the same number. Rows and headers stay."""
    named = {"app": app, "name": name}
    await connection.execute(_MAKE, named)
    version = (await connection.execute(_KNOWN, {**named, "hash": content_hash})).scalar()
    if version is None:
        version = (await connection.execute(_ADD, {**named, "hash": content_hash, "definition": definition})).scalar_one()
    await connection.execute(_GO_LIVE, {**named, "version": version})
    return int(version)


_COLUMNS = """
    s.name, v.version, v.hash, v.definition, v.published_at, s.rows_hash, s.row_count, s.rows_at, s.origin, s.secret, s.updated_at, s.sealed
    FROM sources s JOIN source_versions v ON v.app = s.app AND v.source = s.name AND v.version = s.live_version
    WHERE s.app = :app
"""
_PAGE = text(f"SELECT {_COLUMNS} AND (CAST(:after AS text) IS NULL OR s.name > :after) ORDER BY s.name LIMIT :most")
_ONE = text(f"SELECT {_COLUMNS} AND s.name = :name")
_ALL = text(f"SELECT {_COLUMNS} ORDER BY s.name")
_VERSIONS = text("""
    SELECT version, hash, definition, published_at FROM source_versions
    WHERE app = :app AND source = :name AND (CAST(:before AS integer) IS NULL OR version < :before) ORDER BY version DESC LIMIT :most
""")
_REMOVE = text("DELETE FROM sources WHERE app = :app AND name = :name")
_USERS = text("""
    SELECT t.name FROM templates t JOIN template_versions v ON v.app = t.app AND v.template = t.name AND v.version = t.live_version
    WHERE t.app = :app AND CAST(:name AS text) = ANY (v.sources) ORDER BY t.name
""")


async def page(connection: Connection, app: str, *, after: str | None = None, most: int = 50) -> list[StoredSource]:
    """Sources by name; `after` is the last name of the page before."""
    return [_stored(row) for row in (await connection.execute(_PAGE, {"app": app, "after": after, "most": most})).mappings()]


async def get(connection: Connection, app: str, name: str) -> StoredSource | None:
    """One source as it is now, or None."""
    row = (await connection.execute(_ONE, {"app": app, "name": name})).mappings().first()
    return None if row is None else _stored(row)


async def live(connection: Connection, app: str) -> list[StoredSource]:
    """Every source of the app, by name."""
    return [_stored(row) for row in (await connection.execute(_ALL, {"app": app})).mappings()]


async def versions(connection: Connection, app: str, name: str, *, before: int | None = None, most: int = 50) -> list[SourceVersion]:
    """Every published version, the newest first; `before` is the last number of the page before."""
    rows = (await connection.execute(_VERSIONS, {"app": app, "name": name, "before": before, "most": most})).mappings()
    return [SourceVersion(**row) for row in rows]


async def remove(connection: Connection, app: str, name: str) -> None:
    """Forget a source with its versions, rows and headers."""
    await connection.execute(_REMOVE, {"app": app, "name": name})


async def templates_that_ask(connection: Connection, app: str, name: str) -> list[str]:
    """The templates whose live version asks this source, by name."""
    return list((await connection.execute(_USERS, {"app": app, "name": name})).scalars())


_NO_ROWS = text("DELETE FROM source_rows WHERE app = :app AND source = :name")
_ADD_ROWS = text("""
    INSERT INTO source_rows (app, source, key, row)
    SELECT :app, :name, g.key, g.row FROM unnest(CAST(:keys AS text[]), CAST(:rows AS jsonb[])) AS g (key, row)
""")
_COUNTED = text("""
    UPDATE sources SET rows_hash = :hash, row_count = :count, rows_at = now(), updated_at = now() WHERE app = :app AND name = :name
""")
_ROWS = text("SELECT key, row FROM source_rows WHERE app = :app AND source = :name AND key = ANY(CAST(:keys AS text[]))")


async def put_rows(connection: Connection, app: str, name: str, rows: Mapping[str, Mapping[str, Any]], rows_hash: str) -> None:
    """Put these rows, by key, in the place of all that were there."""
    named = {"app": app, "name": name}
    await connection.execute(_NO_ROWS, named)
    keys = sorted(rows)
    for at in range(0, len(keys), _AT_ONCE):
        some = keys[at : at + _AT_ONCE]
        await connection.execute(_ADD_ROWS, {**named, "keys": some, "rows": [dict(rows[key]) for key in some]})
    await connection.execute(_COUNTED, {**named, "hash": rows_hash, "count": len(rows)})


async def rows(connection: Connection, app: str, name: str, keys: Sequence[str]) -> dict[str, Any]:
    """The rows that are kept here for these keys; a key that has none is left out."""
    found = await connection.execute(_ROWS, {"app": app, "name": name, "keys": list(keys)})
    return {row.key: row.row for row in found}


_PUT_HEADERS = text("""
    UPDATE sources SET origin = :origin, secret = :secret, sealed = :sealed, updated_at = clock_timestamp()
    WHERE app = :app AND name = :name
""")


async def put_headers(connection: Connection, app: str, name: str, seal: Seal, origin: str, headers: Mapping[str, str]) -> None:
    """Seal these headers for an origin, in the place of those that were set. Raises ConfigurationError where there is no key."""
    sealed = seal.seal(dict(headers), sealed_place(app, name)) if headers else b""
    row = {"app": app, "name": name, "origin": origin if headers else "", "secret": sorted(headers), "sealed": sealed}
    await connection.execute(_PUT_HEADERS, row)


def headers(stored: StoredSource, app: str, seal: Seal) -> dict[str, str]:
    """The headers as they are sent. Raises ConfigurationError where the seal does not open."""
    return dict(seal.open(stored.sealed, sealed_place(app, stored.name))) if stored.sealed else {}


_WAIT = text("""
    INSERT INTO source_waits (app, message_id) VALUES (:app, :message_id)
    ON CONFLICT (app, message_id) DO UPDATE SET since = source_waits.since
    RETURNING clock_timestamp() - since
""")
_FORGET = text("DELETE FROM source_waits WHERE since < clock_timestamp() - CAST(:older AS interval)")


async def waited(connection: Connection, app: str, message_id: UUID) -> timedelta:
    """For how long a message has waited for a source, this try included; the first try begins to count."""
    since: timedelta = (await connection.execute(_WAIT, {"app": app, "message_id": message_id})).scalar_one()
    return since


async def forget_waits(connection: Connection, older: timedelta) -> int:
    """Forget since when messages of every app have waited, where that is longer ago than this; returns how many."""
    return (await connection.execute(_FORGET, {"older": older})).rowcount


def _stored(row: RowMapping) -> StoredSource:
    return StoredSource(**{**row, "secret": tuple(row["secret"])})
