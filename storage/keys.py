"""API keys: `sj_<kind>_<8 characters of id>_<43 of secret>`. Only the SHA-256 of the secret part is stored."""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from journeys.language.errors import NotFound
from storage.database import Connection

KINDS = ("write", "public", "secret")
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
    """A key that is neither revoked nor expired. write and secret: servers; public: browsers, apps and everybody who looks inside."""

    app: str
    id: str
    kind: str
    name: str
    secret_hash: bytes
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


_CREATE = text("INSERT INTO keys (app, id, kind, name, secret_hash) VALUES (:app, :id, :kind, :name, :secret_hash)")
_COLUMNS = "app, id, kind, name, secret_hash, created_at, expires_at, last_used_at"
_VALID = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
_FIND = text(f"SELECT {_COLUMNS} FROM keys WHERE id = :id AND {_VALID}")
_USED = text(
    "UPDATE keys SET last_used_at = now() WHERE app = :app AND id = :id"
    " AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')"
)
_LIST = text(f"SELECT {_COLUMNS} FROM keys WHERE app = :app AND {_VALID} ORDER BY created_at, id")
_REVOKE = text("UPDATE keys SET revoked_at = now() WHERE app = :app AND id = :id AND revoked_at IS NULL RETURNING id")


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


async def create(connection: Connection, app: str, kind: str, name: str = "") -> str:
    """Make a key of `kind` (write, public, secret) and return it: it is never shown again."""
    key = generate(kind)
    await store(connection, app, key, name)
    return key


async def store(connection: Connection, app: str, key: str, name: str = "") -> None:
    """Store a key that was generated elsewhere (a development key that survives a new database)."""
    parts = parse(key)
    if parts is None:
        raise ValueError("this is no key of Sojourn's: use keys.generate")
    await connection.execute(_CREATE, {"app": app, "id": parts.id, "kind": parts.kind, "name": name, "secret_hash": parts.secret_hash})


async def find(connection: Connection, key_id: str) -> StoredKey | None:
    """Look a key up by its id, before its app is known: the one statement that names no app. None: unknown, revoked or expired."""
    row = (await connection.execute(_FIND, {"id": key_id})).mappings().first()
    return StoredKey(**row) if row else None


async def note_use(connection: Connection, key: StoredKey) -> None:
    """Remember, to the minute, that the key was used."""
    await connection.execute(_USED, {"app": key.app, "id": key.id})


async def of_app(connection: Connection, app: str) -> list[StoredKey]:
    """The app's keys that can be used, the oldest first."""
    return [StoredKey(**row) for row in (await connection.execute(_LIST, {"app": app})).mappings()]


async def revoke(connection: Connection, app: str, key_id: str) -> None:
    """Make a key useless; a process that knows it notices within ten seconds. Raises NotFound."""
    if (await connection.execute(_REVOKE, {"app": app, "id": key_id})).first() is None:
        raise NotFound("no such key")


def _draw(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(head: str) -> str:
    number, digits = zlib.crc32(head.encode()), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
