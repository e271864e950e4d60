"""The kind `export`: people as rows of a file, some thousand a piece; then it is packed, and put where it was asked for."""

import asyncio
import csv
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import IO, Any, Literal
from uuid import UUID

import orjson
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from activities.imports.mapping import ADDRESSED
from activities.imports.parquet import write_parquet
from activities.jobs.work import Work
from journeys.language.conditions import InSegment
from journeys.language.errors import Invalid, NotFound, Problem
from storage import enrollments, files, jobs, past, segment_people, segments
from storage import exports as rows_out
from storage.database import Connection
from storage.files import CHUNK_BYTES
from storage.jobs import Job, Progress
from storage.segment_people import Among, Asked
from storage.segments import Definition

PEOPLE_A_PIECE = 5_000
MOST_ATTRIBUTES = 1000
Form = Literal["csv", "ndjson", "parquet"]


@dataclass(frozen=True)
class ExportOrder:
    """Who is exported (everybody without a segment), how it is written, and where it goes. Fields may be added with a default."""

    form: Form
    segment: str | None = None
    at: str | None = None
    attributes: tuple[str, ...] | None = None
    url: str | None = None
    done_by: str = ""


_ORDER: TypeAdapter[ExportOrder] = TypeAdapter(ExportOrder)


async def exports(work: Work, job: Job) -> Progress:
    """Write the next people, or pack the file, or put it where it was asked for."""
    order = _ORDER.validate_python(job.parameters)
    match (job.cursor or {}).get("stage", "begin"):
        case "begin":
            return await _begin(work, job, order)
        case "people":
            return await _next_people(work, job, order)
        case "pack":
            return await _pack(work, job, order)
        case _:
            return await _put(work, job, order)


async def _begin(work: Work, job: Job, order: ExportOrder) -> Progress:
    async with work.database.transaction() as connection:
        at = datetime.fromisoformat(order.at) if order.at else await enrollments.database_now(connection)
        meant = await _meant(connection, job.app, order.segment) if order.segment is not None else {}
        total = await past.count(connection, job.app)
        names = order.attributes if order.attributes is not None else await rows_out.attribute_names(connection, job.app, MOST_ATTRIBUTES)
        file_id = await files.begin(connection, job.app, f"export {job.id}.{order.form}")
        columns = ["user_id", "timezone", "locale", *(f"address.{each}" for each in ADDRESSED), *(f"attributes.{name}" for name in names)]
        if order.form == "csv":
            await files.append(connection, job.app, file_id, 0, _csv([columns]))
        cursor = {"stage": "people", "file": str(file_id), "after": 0, "at": at.isoformat(), "columns": columns, "segments": meant}
        progress = Progress(cursor, done=0, total=total, result={"people": 0, "anonymous_left_out": 0, "columns": columns, "file": None})
        await jobs.advance(connection, job, progress)
    return progress


async def _next_people(work: Work, job: Job, order: ExportOrder) -> Progress:
    cursor, file_id = job.cursor, UUID(job.cursor["file"])
    async with work.database.transaction() as connection:
        await _must_be_there(connection, job.app, file_id)
        next_ones = await _next(connection, job, order)
        rows = await rows_out.rows(connection, job.app, next_ones.people)
        if rows:
            content = await asyncio.to_thread(_written, rows, cursor["columns"], order.form)
            await files.append(connection, job.app, file_id, await files.chunk_count(connection, job.app, file_id), content)
        is_last = next_ones.looked_at < PEOPLE_A_PIECE
        result = {
            **job.result,
            "people": job.result["people"] + len(rows),
            "anonymous_left_out": job.result["anonymous_left_out"] + len(next_ones.people) - len(rows),
        }
        stage = "people" if not is_last else "pack" if order.form == "parquet" else "put"
        progress = Progress({**cursor, "after": next_ones.last, "stage": stage}, done=job.done + next_ones.looked_at, result=result)
        await jobs.advance(connection, job, progress)
    return progress


async def _meant(connection: Connection, app: str, segment: str) -> Mapping[str, str | None]:
    """What the segment means now; an edit while people are written changes nothing. Raises NotFound."""
    meant = await segments.come_to(connection, app, InSegment(segment))
    if segment not in meant:
        raise NotFound("there is no segment of this name any more")
    return segments.written(meant)


async def _next(connection: Connection, job: Job, order: ExportOrder) -> Among:
    cursor = job.cursor
    if order.segment is None:
        ids = await rows_out.ids(connection, job.app, cursor["after"], PEOPLE_A_PIECE)
        return Among(len(ids), ids[-1] if ids else cursor["after"], ids)
    # A job that an older worker began has no definitions with it.
    meant = segments.meant_by(cursor.get("segments") or await _meant(connection, job.app, order.segment))
    await _lists_must_be_there(connection, job.app, meant)
    asked = Asked(job.app, InSegment(order.segment), meant, datetime.fromisoformat(cursor["at"]))
    return await segment_people.among_next(connection, asked, after=cursor["after"], most=PEOPLE_A_PIECE)


async def _lists_must_be_there(connection: Connection, app: str, meant: Mapping[str, Definition]) -> None:
    """Who was on a list is known only while there is one. Raises NotFound."""
    for name, each in meant.items():
        if isinstance(each, str) and await segments.get(connection, app, name) is None:
            raise NotFound(f"the list {name} was deleted meanwhile: export again")


async def _must_be_there(connection: Connection, app: str, file_id: UUID) -> None:
    try:
        await files.get(connection, app, file_id)
    except NotFound:
        raise NotFound("what was written is not here any more, because somebody was erased meanwhile: export again") from None


async def _pack(work: Work, job: Job, _order: ExportOrder) -> Progress:
    """Parquet tells at its end where its columns are, so it is made of all rows at once."""
    file_id = UUID(job.cursor["file"])
    with tempfile.TemporaryFile() as lines, tempfile.TemporaryFile() as packed:
        async for piece in files.chunks(work.database, job.app, file_id):
            await asyncio.to_thread(lines.write, piece)
        await asyncio.to_thread(_write_parquet, lines, packed, job.cursor["columns"])
        packed.seek(0)
        async with work.database.transaction() as connection:
            await files.empty(connection, job.app, file_id)
            for n, content in enumerate(iter(lambda: packed.read(CHUNK_BYTES), b"")):
                await files.append(connection, job.app, file_id, n, content)
            progress = Progress({**job.cursor, "stage": "put"}, done=job.done)
            await jobs.advance(connection, job, progress)
    return progress


def _write_parquet(lines: IO[bytes], packed: IO[bytes], columns: Sequence[str]) -> None:
    lines.seek(0)
    write_parquet(packed, columns, _batches(lines))


def _batches(lines: IO[bytes]) -> Iterator[bytes]:
    while batch := lines.readlines(CHUNK_BYTES):
        yield b"".join(batch)


async def _put(work: Work, job: Job, order: ExportOrder) -> Progress:
    file_id = UUID(job.cursor["file"])
    async with work.database.transaction() as connection:
        await _must_be_there(connection, job.app, file_id)
        file = await files.finish(connection, job.app, file_id)
    if order.url is not None:
        content = files.chunks(work.database, job.app, file_id)
        await work.places.write(job.app, order.url, content, file.size_bytes)
    result = {**job.result, "file": None if order.url else str(file_id), "size_bytes": file.size_bytes}
    progress = Progress(job.cursor, done=job.done, result=result, is_finished=True)
    async with work.database.transaction() as connection:
        await jobs.advance(connection, job, progress)
        if order.url is not None:
            await files.remove(connection, job.app, file_id)
    return progress


def problems_of(order: ExportOrder) -> Invalid | None:
    """What is wrong with an order as it stands."""
    if order.at is not None and order.segment is None:
        return Invalid([Problem("/at", "only_for_segments", "everybody has no moment: name a segment, or leave it out")])
    return None


def _written(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: Form) -> bytes:
    flat = [_flat(row) for row in rows]
    if form == "csv":
        return _csv([[_cell(row.get(column)) for column in columns] for row in flat])
    wanted = set(columns)
    return b"".join(orjson.dumps({name: value for name, value in row.items() if name in wanted}) + b"\n" for row in flat)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A person by the names that an import reads them by."""
    beside = {name: row[name] for name in ("user_id", "timezone", "locale") if row[name] is not None}
    held = {f"address.{channel}": address for channel, address in row["addresses"].items()}
    return {**beside, **held, **{f"attributes.{name}": value for name, value in row["attributes"].items()}}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    opened = io.StringIO()
    csv.writer(opened, lineterminator="\n").writerows(rows)
    return opened.getvalue().encode()
