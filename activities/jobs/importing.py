"""The kind `import`: a file of people, events or names for a list, some thousand rows in one transaction, a few of those in a piece."""

import asyncio
import gc
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from activities.imports import pinpoint
from activities.imports.arriving import take_in
from activities.imports.beginning import Begun, begin
from activities.imports.mapping import EventRow, Layout, PersonRow, event_of, name_of, person_of
from activities.imports.order import ImportOrder
from activities.imports.windows import WINDOW_BYTES, BadRow, Position, Spelling, read_window
from activities.jobs.work import Work
from journeys.language.errors import Conflict, NotFound
from storage import enrollments, files, jobs, segments
from storage import imports as rows_in
from storage.attributes import joined, said
from storage.database import Connection
from storage.files import StoredFile
from storage.imports import MOST_BAD_ROWS, HeldAddress, ImportedEvent, ImportedPerson, LaidOut
from storage.jobs import Job, Progress, State

ROWS_A_PART = 5_000
PARTS_A_PIECE = 3
MANY_ROWS = 10_000
MOST_NOT_MAPPED = 100
_COUNTS: Mapping[str, Sequence[str]] = {
    "users": ("users_created", "users_changed"),
    "events": ("events_stored", "events_known", "users_created"),
    "list": (),
}
_ORDER: TypeAdapter[ImportOrder] = TypeAdapter(ImportOrder)
_SPELLING: TypeAdapter[Spelling] = TypeAdapter(Spelling)


@dataclass
class Batch:
    """What one window came to, before anything is written. `brought` are the people as they are written."""

    people: list[PersonRow] = field(default_factory=list)
    brought: LaidOut | None = None
    events: list[EventRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    not_mapped: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    position: Position = field(default_factory=Position)


@dataclass(frozen=True)
class Importing:
    """A job with its order, as all of a piece have it."""

    work: Work
    job: Job
    order: ImportOrder


@dataclass(frozen=True)
class Part:
    """Rows of a file that have been read, and are still to be written."""

    file: StoredFile
    batch: Batch

    @property
    def is_last(self) -> bool:
        return self.batch.position.offset >= self.file.size_bytes


async def imports(work: Work, job: Job) -> Progress:
    """Do the next rows. The first piece fetches what lies elsewhere, and looks how the file is written."""
    order = _ORDER.validate_python(job.parameters)
    if job.cursor is None:
        return await _begin(work, job, order)
    importing = Importing(work, job, order)
    part = await _read_part(importing, job.cursor["position"])
    for left in reversed(range(PARTS_A_PIECE)):
        # While Postgres writes, the rows after these are read.
        is_end = part.is_last or not left
        ahead = None if is_end else asyncio.create_task(_read_part(importing, asdict(part.batch.position)))
        try:
            progress, state = await work.database.run(partial(_write, importing=importing, part=part))
            if ahead is None or state != "running":
                break
            part = await ahead
        finally:
            await _let_go(ahead)
        after = replace(importing.job, cursor=progress.cursor, result=progress.result, pieces=importing.job.pieces + 1)
        importing = replace(importing, job=after)
    if progress.is_finished and part.file.lines >= MANY_ROWS:
        async with work.database.transaction() as connection:
            await rows_in.look_at_tables(connection, order.what)
    return progress


async def _let_go(ahead: asyncio.Task[Part] | None) -> None:
    """What was read for nothing, because a write failed or the job was stopped; what was taken is done by now."""
    if ahead is not None:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)


async def _read_part(importing: Importing, position: Mapping[str, Any]) -> Part:
    job = importing.job
    async with importing.work.database.transaction() as connection:
        file = await _file(connection, job.app, job.cursor["file"])
        window = await files.read(connection, job.app, file.id, position["offset"], WINDOW_BYTES)
    is_last = position["offset"] + len(window) >= file.size_bytes
    return Part(file, await asyncio.to_thread(_read_whole, window, importing.order, job, Position(**position), is_last=is_last))


async def _write(connection: Connection, importing: Importing, part: Part) -> tuple[Progress, State]:
    job, batch, order = importing.job, part.batch, importing.order
    result = await _bring(connection, job, order, batch)
    progress = Progress(
        cursor={**job.cursor, "position": asdict(batch.position)},
        done=part.file.lines if part.is_last else batch.position.line - 1,
        result=result,
        is_finished=part.is_last,
    )
    state = await jobs.advance(connection, job, progress)
    if part.is_last and order.url is not None:
        await files.remove(connection, job.app, part.file.id)
    return progress, state


async def _begin(work: Work, job: Job, order: ImportOrder) -> Progress:
    file = await _fetched(work, job, order) if order.url is not None else None
    async with work.database.transaction() as connection:
        file = file or await _file(connection, job.app, order.file or "")
        window = await files.read(connection, job.app, file.id, 0, WINDOW_BYTES)
    begun = begin(window, order, is_whole=len(window) >= file.size_bytes)
    cursor = {
        "file": str(file.id),
        "position": asdict(begun.position),
        "spelling": asdict(begun.spelling),
        "pinpoint": begun.is_pinpoint,
    }
    return Progress(cursor, done=0, total=file.lines, result=_result(order, begun))


async def _fetched(work: Work, job: Job, order: ImportOrder) -> StoredFile:
    url = order.url or ""
    stream = work.places.read(job.app, url)
    return await take_in(work.database, job.app, stream, name=f"import {job.id}", most_bytes=work.file_limit)


async def _file(connection: Connection, app: str, file_id: str) -> StoredFile:
    try:
        file = await files.get(connection, app, UUID(file_id))
    except NotFound:
        raise NotFound("the file is not here any more: files are kept for a day, and until somebody is erased. Upload it again") from None
    if not file.is_whole:
        raise Conflict("the file has not arrived to its end: upload it again")
    return file


def _result(order: ImportOrder, begun: Begun) -> dict[str, Any]:
    spelling = begun.spelling
    layout = Layout(order, spelling.header)
    ignored = [] if begun.is_pinpoint else sorted({column for column in spelling.header if layout.place_of(column) is None})
    counts = ["rows", "bad_rows", *_COUNTS[order.what], *(["put_on_list"] if order.segment is not None else [])]
    told: dict[str, Any] = {"form": spelling.form, "is_pinpoint": begun.is_pinpoint, "ignored_columns": ignored, "not_mapped": {}}
    return {**dict.fromkeys(counts, 0), **told, "looks_like": [asdict(each) for each in begun.lookalikes]}


def _read_whole(window: bytes, order: ImportOrder, job: Job, position: Position, *, is_last: bool) -> Batch:
    """What is made here stays until it is written: looking for garbage among it would cost as much as making it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        batch = _read(window, order, job, position, is_last=is_last)
        if order.what == "users" and batch.people:
            batch.brought = rows_in.lay_out(job.app, _together(job, batch.people))
        return batch
    finally:
        if was_enabled:
            gc.enable()


def _read(window: bytes, order: ImportOrder, job: Job, position: Position, *, is_last: bool) -> Batch:
    cursor = job.cursor
    spelling = _SPELLING.validate_python(cursor["spelling"])
    found = read_window(window, position, spelling, is_last=is_last, most_rows=ROWS_A_PART)
    batch = Batch(bad=list(found.bad), rows=len(found.rows) + len(found.bad), position=found.position)
    as_of = datetime.fromisoformat(order.as_of) if order.as_of else job.created_at
    if cursor["pinpoint"]:
        for row in found.rows:
            taken = pinpoint.read(row, as_of, unwrap=order.unwrap)
            batch.people += taken.people
            batch.bad += taken.bad
            batch.not_mapped.update(taken.not_mapped)
        return batch
    layout = Layout(order, spelling.header)
    for row in found.rows:
        match order.what:
            case "users":
                _put(batch, person_of(layout, row, as_of))
            case "list":
                _put(batch, name_of(layout, row))
            case "events":
                _put(batch, event_of(layout, row, order.event, job.created_at))
    return batch


def _put(batch: Batch, made: PersonRow | EventRow | list[BadRow]) -> None:
    match made:
        case PersonRow():
            batch.people.append(made)
        case EventRow():
            batch.events.append(made)
        case _:
            batch.bad += made


async def _bring(connection: Connection, job: Job, order: ImportOrder, batch: Batch) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    bad = list(batch.bad)
    if order.segment is not None:
        await _must_be_a_list(connection, job.app, order.segment)
    if order.what == "events" and batch.events:
        counts += await _bring_events(connection, job, batch.events)
    elif batch.brought is not None:
        brought = await rows_in.bring_people(connection, job.app, batch.brought)
        counts += Counter({"users_created": brought.created, "users_changed": brought.changed})
    elif order.what == "list":
        known = await rows_in.known(connection, job.app, [each.user_id for each in batch.people])
        bad += [BadRow(each.line, "user_id", "no_such_user", "no user has this id") for each in batch.people if each.user_id not in known]
    if order.segment is not None and batch.people:
        named = list(dict.fromkeys(each.user_id for each in batch.people))
        counts["put_on_list"] = await rows_in.put_on_list(connection, job.app, order.segment, named)
    before = job.result["bad_rows"]
    lines = {each.line for each in bad}
    await rows_in.write_bad_rows(connection, job.app, job.id, bad[: max(0, MOST_BAD_ROWS - before)])
    return _added(job.result, Counter(counts | {"rows": batch.rows, "bad_rows": len(lines)}), batch.not_mapped)


async def _must_be_a_list(connection: Connection, app: str, name: str) -> None:
    segment = await segments.get(connection, app, name)
    if segment is None or segment.kind != "static":
        raise NotFound("there is no static segment of this name any more")


def _added(result: Mapping[str, Any], counts: Mapping[str, int], not_mapped: Mapping[str, int]) -> dict[str, Any]:
    named = dict(result["not_mapped"])
    for name, times in not_mapped.items():
        if name in named or len(named) < MOST_NOT_MAPPED:
            named[name] = named.get(name, 0) + times
    return {**result, **{name: result[name] + number for name, number in counts.items()}, "not_mapped": named}


def _together(job: Job, rows: Sequence[PersonRow]) -> list[ImportedPerson]:
    """Each user once, as all of their rows say: of two that say another thing of one moment the later line counts."""
    people: dict[str, ImportedPerson] = {}
    for row in rows:
        known, told = people.get(row.user_id), _told(job, row)
        people[row.user_id] = told if known is None else _with(known, told)
    return list(people.values())


def _told(job: Job, row: PersonRow) -> ImportedPerson:
    profile = said(row.values, row.at, f"import-{job.id}-{row.line:012d}")
    held = [HeldAddress(each.channel, each.address, row.at, each.device, each.is_active) for each in row.addresses]
    return ImportedPerson(row.user_id, row.line, profile, held, dict.fromkeys(row.opted_out, row.at))


def _with(known: ImportedPerson, told: ImportedPerson) -> ImportedPerson:
    return known._replace(
        profile=joined(known.profile, told.profile),
        addresses=[*known.addresses, *told.addresses],
        opted_out={**known.opted_out, **told.opted_out},
    )


async def _bring_events(connection: Connection, job: Job, rows: Sequence[EventRow]) -> Counter[str]:
    named = await _with_ids(connection, job, rows)
    received_at = await enrollments.database_now(connection)
    events, people = await rows_in.bring_events(connection, job.app, list(named.values()), received_at)
    return Counter({"events_stored": events, "events_known": len(rows) - events, "users_created": people})


async def _with_ids(connection: Connection, job: Job, rows: Sequence[EventRow]) -> dict[str, ImportedEvent]:
    """By id. A row without one is named after what it says and how often the file has said it: so the same file names it the same."""
    without = Counter(row.base for row in rows if row.event_id is None)
    before = await rows_in.count_rows(connection, job.app, job.id, without) if without else {}
    named: dict[str, ImportedEvent] = {}
    for row in rows:
        event_id = row.event_id
        if event_id is None:
            before[row.base] += 1
            event_id = f"row-{row.base.hex()}-{before[row.base]}"
        named.setdefault(event_id, ImportedEvent(event_id, row.user_id, row.name, row.occurred_at, row.properties, row.base))
    return named
