"""How a file comes to lie in the database: unpacked, in chunks of one size, and only if it came to its end."""

import asyncio
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import IO, Any, Final

from activities.imports.parquet import lines_of_parquet
from journeys.language.errors import Invalid, Problem
from storage import files
from storage.database import Database
from storage.files import CHUNK_BYTES, StoredFile

_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"
_MAGIC_BYTES = 4
# What people send by mistake, and what they should do instead.
_UNREADABLE = {
    b"PK\x03\x04": ("is_zip", "this is a zip file (a spreadsheet, perhaps): save it as CSV, or pack it with gzip"),
    b"\x28\xb5\x2f\xfd": ("is_zstd", "this is packed with zstd: unpack it, or pack it with gzip"),
    b"\xff\xfe": ("is_utf_16", "this is UTF-16: save it as UTF-8"),
    b"\xfe\xff": ("is_utf_16", "this is UTF-16: save it as UTF-8"),
}


async def take_in(database: Database, app: str, stream: AsyncIterator[bytes], *, name: str, most_bytes: int) -> StoredFile:
    """Keep what a stream brings, as plain text: gzip is unpacked, Parquet becomes JSON lines.

    Raises Invalid for what cannot be read, is cut off, or is larger than `most_bytes`; then nothing is kept. So it is too when the stream
    itself fails.
    """
    async with database.transaction(app) as connection:
        file_id = await files.begin(connection, app, name)
    try:
        n = 0
        async for content in _in_chunks(_bounded(_plain(stream), most_bytes)):
            async with database.transaction(app) as connection:
                await files.append(connection, app, file_id, n, content)
            n += 1
        async with database.transaction(app) as connection:
            return await files.finish(connection, app, file_id)
    except BaseException:
        async with database.transaction(app) as connection:
            await files.remove(connection, app, file_id)
        raise


async def _plain(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    start = b""
    async for piece in stream:
        start += piece
        if len(start) >= _MAGIC_BYTES:
            break
    for magic, (code, words) in _UNREADABLE.items():
        if start.startswith(magic):
            raise _unreadable(code, words)
    whole = _joined(start, stream)
    async for piece in _unpack(start)(whole):
        yield piece


def _unpack(start: bytes) -> Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]:
    if start.startswith(_PARQUET):
        return _from_parquet
    return _gunzipped if start.startswith(_GZIP) else _as_it_is


async def _as_it_is(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in stream:
        yield piece


async def _joined(start: bytes, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for piece in stream:
        yield piece


async def _gunzipped(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    async for piece in stream:
        packed = piece
        while packed:
            if inflater.eof:  # a file may be several packed ones, one behind the other
                inflater = zlib.decompressobj(wbits=31)
            try:
                yield inflater.decompress(packed, CHUNK_BYTES)
            except zlib.error:
                raise _unreadable("broken_gzip", "the gzip is broken: pack or send it again") from None
            packed = inflater.unconsumed_tail or inflater.unused_data
    if not inflater.eof:
        raise _unreadable("gzip_not_complete", "the gzip ends in the middle: pack or send it again")


async def _from_parquet(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Parquet tells at its end where its columns are, so all of it must be there first."""
    async with _temporary_file() as spooled:
        async for piece in stream:
            await asyncio.to_thread(spooled.write, piece)
        lines = lines_of_parquet(spooled)
        while (batch := await asyncio.to_thread(_next, lines)) is not None:
            yield batch


def _next(lines: Iterator[bytes]) -> bytes | None:
    return next(lines, None)


@asynccontextmanager
async def _temporary_file() -> AsyncIterator[IO[Any]]:
    opened = tempfile.TemporaryFile(prefix="sojourn-")  # noqa: SIM115 - closed below
    try:
        yield opened
    finally:
        opened.close()


async def _bounded(stream: AsyncIterator[bytes], most_bytes: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in stream:
        size += len(piece)
        if size > most_bytes:
            raise _unreadable("file_too_large", f"a file may have {most_bytes:,} bytes at most, unpacked: split it")
        yield piece


async def _in_chunks(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    kept = bytearray()
    async for piece in stream:
        kept += piece
        while len(kept) >= CHUNK_BYTES:
            yield bytes(kept[:CHUNK_BYTES])
            del kept[:CHUNK_BYTES]
    if kept:
        yield bytes(kept)


def _unreadable(code: str, words: str) -> Invalid:
    return Invalid([Problem("", code, words)])
