"""Rows of somebody else's database: a table or view of the one that SOJOURN_SOURCE_DATABASE_URL names, read by its key and never written.

The names of table and column are checked where a source is read (journeys/language/sources.py) and stand in quotes here; keys are
parameters.
"""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from journeys.language.sources import Table
from storage.database import Connection, Database, sqlstate

ROW_LIMIT = 64 * 1024
_INTEGERS = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
_TEXTS = ("text", "varchar", "bpchar", "name")
_SESSION = text("""
    SELECT set_config('transaction_read_only', 'on', true), set_config('statement_timeout', :timeout, true),
        set_config('sojourn.app', :app, true)
""")
_TYPE = text("""
    SELECT t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass(:table) AND a.attname = :key AND NOT a.attisdropped
""")
_WHY = {"57014": "reading takes longer than its timeout", "25006": "it is a view that writes", "42501": "the role may not read it"}
_NOT_THERE = "there is no such table, or it has no such column: mend the source"


class CannotBeRead(Exception):
    """The table is not there, or not for us, or a row is too large; the message says which, and nothing of what is in it."""


async def rows(database: Database, app: str, table: Table, keys: Sequence[str]) -> dict[str, Any]:
    """The rows for these keys; a key that has none is left out. Of two rows with one key any comes.

    What the table shows may depend on `current_setting('sojourn.app')`. Raises CannotBeRead, Unavailable.
    """
    async with database.transaction() as connection:
        try:
            milliseconds = str(table.timeout.seconds * 1000)
            await connection.execute(_SESSION, {"timeout": milliseconds, "app": app})
            return await _read(connection, table, keys)
        except DBAPIError as error:
            why = _WHY.get(sqlstate(error), "it cannot be read: look at its name, and at what the role may read")
            raise CannotBeRead(f"{why} ({sqlstate(error)})") from error


async def _read(connection: Connection, table: Table, keys: Sequence[str]) -> dict[str, Any]:
    quoted = ".".join(f'"{part}"' for part in table.table.split("."))
    kind = (await connection.execute(_TYPE, {"table": quoted, "key": table.key})).scalar()
    if kind is None:
        raise CannotBeRead(_NOT_THERE)
    given = {key: normal for key in keys if (normal := _normal(key, kind)) is not None}
    column = f't."{table.key}"'
    compared = f"{column} = ANY(CAST(:keys AS text[])::{kind}[])" if _has_index(kind) else f"{column}::text = ANY(CAST(:keys AS text[]))"
    statement = text(
        f"SELECT DISTINCT ON ({column}) {column}::text AS key, left(to_jsonb(t)::text, {ROW_LIMIT + 1}) AS row"
        f" FROM {quoted} AS t WHERE {compared}"
    )
    found = (await connection.execute(statement, {"keys": sorted(set(given.values()))})).all()
    if any(len(row.row) > ROW_LIMIT for row in found):
        raise CannotBeRead("a row is larger than 64 KB: make a view with fewer columns")
    read = {row.key: orjson.loads(row.row) for row in found}
    return {key: read[normal] for key, normal in given.items() if normal in read}


def _has_index(kind: str) -> bool:
    """Compared as its own type, so that an index of the column serves."""
    return kind in _INTEGERS or kind in _TEXTS or kind == "uuid"


def _normal(key: str, kind: str) -> str | None:
    """The key as the column writes it; None for one that no row can have: it must not fail the others."""
    if "\0" in key:
        return None
    if kind in _INTEGERS:
        return str(int(key)) if re.fullmatch(r"-?[0-9]{1,19}", key) and -_INTEGERS[kind] <= int(key) < _INTEGERS[kind] else None
    if kind == "uuid":
        try:
            return str(UUID(key))
        except ValueError:
            return None
    return key
