"""API keys: `sj_<kind>_<8 characters of id>_<43 of secret>`. Only the SHA-256 of the secret part is stored."""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from journeys.language.errors import NotFound
from storage.database import Connection

KINDS = ("write", "public", "secret")
# What a secret key may be limited to. ingest: send events; send: send messages; read: look; manage: change everything but people's
# removal and keys; erase: remove people for good; keys: make and revoke keys.
SCOPES = ("ingest", "send", "read", "manage", "erase", "keys")
_ALPHABET = string.digits + string.ascii_letters
_SECRET, _CHECKSUM, _ID = 37, 6, 8
_KEY = re.compile(r"sj_(write|public|secret)_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})")


@dataclass(frozen=True)
class Parts:
    """A key as it is written: who it says it is, and the hash of what proves it."""

    kind: str
    id: str
    secret_hash: bytes


@dataclass(frozen=True)
class StoredKey:
    """A key that is neither revoked nor expired. write and secret: servers; public: browsers, apps and everybody who looks inside.

    `scopes`: what it may do. A secret key that was given none may do everything.
    """

    app: str
    id: str
    kind: str
    name: str
    secret_hash: bytes
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


_CREATE = text(
    "INSERT INTO keys (app, id, kind, name, secret_hash, scopes, expires_at)"
    " VALUES (:app, :id, :kind, :name, :secret_hash, :scopes, :expires_at)"
)
_COLUMNS = "app, id, kind, name, secret_hash, scopes, created_at, expires_at, last_used_at"
_VALID = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
_FIND = text(f"SELECT {_COLUMNS} FROM keys WHERE id = :id AND {_VALID}")
_USED = text(
    "UPDATE keys SET last_used_at = now() WHERE app = :app AND id = :id"
    " AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')"
)
_LIST = text(f"""
    SELECT {_COLUMNS} FROM keys WHERE app = :app AND {_VALID}
        AND (CAST(:at AS timestamptz) IS NULL OR (created_at, id) < (:at, CAST(:before AS text)))
    ORDER BY created_at DESC, id DESC LIMIT :most
""")
_ONE = text(f"SELECT {_COLUMNS} FROM keys WHERE app = :app AND id = :id AND {_VALID}")
_REVOKE = text("UPDATE keys SET revoked_at = now() WHERE app = :app AND id = :id AND revoked_at IS NULL RETURNING id")
_EXPIRE = text(
    "UPDATE keys SET expires_at = least(coalesce(expires_at, 'infinity'), now() + make_interval(secs => :seconds))"
    " WHERE app = :app AND id = :id"
)


def generate(kind: str) -> str:
    """Draw a new key: 220 random bits and a checksum that tells a typing error without asking the database."""
    head = f"sj_{kind}_{_draw(_ID)}_{_draw(_SECRET)}"
    return head + _checksum(head)


def parse(key: str) -> Parts | None:
    """Read a key, or None when it cannot be one."""
    match = _KEY.fullmatch(key)
    if match is None or _checksum(key[:-_CHECKSUM]) != key[-_CHECKSUM:]:
        return None
    return Parts(match[1], match[2], hashlib.sha256(match[3].encode()).digest())


async def create(
    connection: Connection, app: str, kind: str, name: str = "", *, scopes: Sequence[str] = (), expires_at: datetime | None = None
) -> str:
    """Make a key of `kind` (write, public, secret) and return it: it is never shown again. `scopes` narrow a secret key; none: all."""
    key = generate(kind)
    parts = parse(key)
    assert parts is not None
    values = {"app": app, "id": parts.id, "kind": kind, "name": name, "secret_hash": parts.secret_hash}
    await connection.execute(_CREATE, {**values, "scopes": list(scopes), "expires_at": expires_at})
    return key


async def rotate(connection: Connection, app: str, key_id: str, overlap: timedelta) -> str:
    """Make a key that may do what this one may, and let this one end after the overlap. Returns the new key. Raises NotFound."""
    row = await _row(connection, app, key_id)
    key = await create(connection, app, row["kind"], row["name"], scopes=row["scopes"], expires_at=row["expires_at"])
    await connection.execute(_EXPIRE, {"app": app, "id": key_id, "seconds": overlap.total_seconds()})
    return key


async def find(connection: Connection, key_id: str) -> StoredKey | None:
    """Look a key up by its id, before its app is known: the one statement that names no app. None: unknown, revoked or expired."""
    row = (await connection.execute(_FIND, {"id": key_id})).mappings().first()
    return _stored(row) if row else None


async def get(connection: Connection, app: str, key_id: str) -> StoredKey:
    """One key of the app that can be used. Raises NotFound."""
    return _stored(await _row(connection, app, key_id))


async def note_use(connection: Connection, key: StoredKey) -> None:
    """Remember, to the minute, that the key was used."""
    await connection.execute(_USED, {"app": key.app, "id": key.id})


async def page(connection: Connection, app: str, *, before: tuple[datetime, str] | None = None, most: int = 1000) -> list[StoredKey]:
    """The app's keys that can be used, the newest first; `before` is (created_at, id) of the last one of the page before."""
    at, key_id = before or (None, None)
    rows = await connection.execute(_LIST, {"app": app, "at": at, "before": key_id, "most": most})
    return [_stored(row) for row in rows.mappings()]


async def revoke(connection: Connection, app: str, key_id: str) -> None:
    """Make a key useless; a process that knows it notices within ten seconds. Raises NotFound."""
    if (await connection.execute(_REVOKE, {"app": app, "id": key_id})).first() is None:
        raise NotFound("no such key")


async def _row(connection: Connection, app: str, key_id: str) -> Any:
    row = (await connection.execute(_ONE, {"app": app, "id": key_id})).mappings().first()
    if row is None:
        raise NotFound("no such key")
    return row


def _stored(row: Any) -> StoredKey:
    given = tuple(row["scopes"]) or (SCOPES if row["kind"] == "secret" else ("ingest",))
    return StoredKey(**{**row, "scopes": given})


def _draw(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(head: str) -> str:
    number, digits = zlib.crc32(head.encode()), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
