"""Files that are imported, or were made by an export: their bytes in chunks, so that any process can go on with them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text

from journeys.language.errors import NotFound
from storage.database import Connection, Database

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class StoredFile:
    """A file as it lies here: plain text, whatever it was packed in. `is_whole` False: it has not arrived to its end."""

    app: str
    id: UUID
    name: str
    size_bytes: int
    lines: int
    is_whole: bool
    created_at: datetime


_COLUMNS = "app, id, name, size_bytes, lines, is_whole, created_at"
_BEGIN = text("INSERT INTO files (app, id, name) VALUES (:app, :id, :name)")
_APPEND = text("INSERT INTO file_chunks (app, file_id, n, content) VALUES (:app, :id, :n, :content)")
_GROW = text("UPDATE files SET size_bytes = size_bytes + :bytes, lines = lines + :lines WHERE app = :app AND id = :id")
_FINISH = text(f"UPDATE files SET is_whole = true WHERE app = :app AND id = :id RETURNING {_COLUMNS}")
_ONE = text(f"SELECT {_COLUMNS} FROM files WHERE app = :app AND id = :id")
_READ = text("SELECT content FROM file_chunks WHERE app = :app AND file_id = :id AND n >= :first AND n < :behind ORDER BY n")
_CHUNK_COUNT = text("SELECT coalesce(max(n) + 1, 0) FROM file_chunks WHERE app = :app AND file_id = :id")
_REMOVE_CHUNKS = text("DELETE FROM file_chunks WHERE app = :app AND file_id = :id")
_EMPTY = text("UPDATE files SET size_bytes = 0, lines = 0 WHERE app = :app AND id = :id")
_REMOVE = text("DELETE FROM files WHERE app = :app AND id = :id")
_READERS = "SELECT FROM jobs j WHERE j.app = f.app AND (j.parameters ->> 'file' = f.id::text OR j.cursor ->> 'file' = f.id::text)"
_NOT_READ = f"NOT EXISTS ({_READERS} AND j.state = 'running')"
_FORGET = text(f"DELETE FROM files f WHERE f.created_at < clock_timestamp() - CAST(:older AS interval) AND {_NOT_READ}")
# What has no reader yet and is not whole is an upload that goes on.
_FORGET_UNREAD = text(f"DELETE FROM files f WHERE f.app = :app AND (f.is_whole OR EXISTS ({_READERS})) AND {_NOT_READ}")


async def begin(connection: Connection, app: str, name: str) -> UUID:
    """Make an empty file and return its id."""
    file_id = uuid4()
    await connection.execute(_BEGIN, {"app": app, "id": file_id, "name": name})
    return file_id


async def append(connection: Connection, app: str, file_id: UUID, n: int, content: bytes) -> None:
    """Write the `n`-th chunk, from 0."""
    await connection.execute(_APPEND, {"app": app, "id": file_id, "n": n, "content": content})
    await connection.execute(_GROW, {"app": app, "id": file_id, "bytes": len(content), "lines": content.count(b"\n")})


async def finish(connection: Connection, app: str, file_id: UUID) -> StoredFile:
    """Say that the file is whole. Raises NotFound where it was removed meanwhile."""
    return _stored((await connection.execute(_FINISH, {"app": app, "id": file_id})).mappings().all())


async def get(connection: Connection, app: str, file_id: UUID) -> StoredFile:
    """One file. Raises NotFound."""
    return _stored((await connection.execute(_ONE, {"app": app, "id": file_id})).mappings().all())


async def read(connection: Connection, app: str, file_id: UUID, start: int, most: int) -> bytes:
    """The bytes from `start` on, `most` of them at most; of a file that has arrived, whose chunks have one size."""
    first, behind = start // CHUNK_BYTES, -(-(start + most) // CHUNK_BYTES)
    rows = await connection.execute(_READ, {"app": app, "id": file_id, "first": first, "behind": behind})
    content = b"".join(rows.scalars())
    skipped = start - first * CHUNK_BYTES
    return content[skipped : skipped + most]


async def chunks(database: Database, app: str, file_id: UUID) -> AsyncIterator[bytes]:
    """Every chunk in its order, one a transaction, so that a slow reader holds no connection."""
    async with database.transaction(app) as connection:
        count: int = (await connection.execute(_CHUNK_COUNT, {"app": app, "id": file_id})).scalar_one()
    for n in range(count):
        async with database.transaction(app) as connection:
            rows = await connection.execute(_READ, {"app": app, "id": file_id, "first": n, "behind": n + 1})
            content: bytes = rows.scalar_one()
        yield content


async def chunk_count(connection: Connection, app: str, file_id: UUID) -> int:
    return int((await connection.execute(_CHUNK_COUNT, {"app": app, "id": file_id})).scalar_one())


async def empty(connection: Connection, app: str, file_id: UUID) -> None:
    """Take everything out of a file that is written anew."""
    await connection.execute(_REMOVE_CHUNKS, {"app": app, "id": file_id})
    await connection.execute(_EMPTY, {"app": app, "id": file_id})


async def remove(connection: Connection, app: str, file_id: UUID) -> None:
    """Forget a file."""
    await connection.execute(_REMOVE, {"app": app, "id": file_id})


async def forget(connection: Connection, older: timedelta) -> int:
    """Forget files of every app that are older and that no running job reads; returns how many."""
    return (await connection.execute(_FORGET, {"older": older})).rowcount


async def forget_unread(connection: Connection, app: str) -> int:
    """Forget every file of the app that no running job reads: somebody who is in one may be erased. Returns how many."""
    return (await connection.execute(_FORGET_UNREAD, {"app": app})).rowcount


def _stored(rows: Sequence[object]) -> StoredFile:
    if not rows:
        raise NotFound("no such file")
    return StoredFile(**dict(rows[0]))  # type: ignore[call-overload]
