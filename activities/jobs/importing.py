"""The kind `import`: a file of people, events or names for a list, some thousand rows a piece; each piece is one transaction."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from activities.imports import pinpoint
from activities.imports.arriving import take_in
from activities.imports.beginning import begin
from activities.imports.mapping import EventRow, Layout, PersonRow, event_of, name_of, person_of
from activities.imports.order import ImportOrder
from activities.imports.windows import WINDOW_BYTES, BadRow, Position, Spelling, read_window
from activities.jobs.work import Work
from journeys.language.errors import Conflict, NotFound
from storage import enrollments, files, jobs, segments
from storage import imports as rows_in
from storage.attributes import changed
from storage.database import Connection
from storage.files import StoredFile
from storage.imports import MOST_BAD_ROWS, HeldAddress, ImportedEvent, ImportedPerson
from storage.jobs import Job, Progress

ROWS_A_PIECE = 5_000
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
    """What one window came to, before anything is written."""

    people: list[PersonRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    not_mapped: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    position: Position = field(default_factory=Position)


async def imports(work: Work, job: Job) -> Progress:
    """Do the next rows. The first piece fetches what lies elsewhere, and looks how the file is written."""
    order = _ORDER.validate_python(job.parameters)
    if job.cursor is None:
        return await _begin(work, job, order)
    cursor = job.cursor
    async with work.database.transaction() as connection:
        file = await _file(connection, job.app, cursor["file"])
        window = await files.read(connection, job.app, file.id, cursor["position"]["offset"], WINDOW_BYTES)
    is_last = cursor["position"]["offset"] + len(window) >= file.size_bytes
    batch = await asyncio.to_thread(_read, window, order, job, is_last=is_last)
    is_finished = batch.position.offset >= file.size_bytes

    async def write(connection: Connection) -> Progress:
        result = await _bring(connection, job, order, batch)
        progress = Progress(
            cursor={**cursor, "position": asdict(batch.position)},
            done=file.lines if is_finished else batch.position.line - 1,
            result=result,
            is_finished=is_finished,
        )
        await jobs.advance(connection, job, progress)
        if is_finished and order.url is not None:
            await files.remove(connection, job.app, file.id)
        return progress

    progress = await work.database.run(write)
    if is_finished and file.lines >= MANY_ROWS:
        async with work.database.transaction() as connection:
            await rows_in.look_at_tables(connection)
    return progress


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
    return Progress(cursor, done=0, total=file.lines, result=_result(order, begun.spelling, begun.is_pinpoint))


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


def _result(order: ImportOrder, spelling: Spelling, is_pinpoint: bool) -> dict[str, Any]:
    layout = Layout(order, spelling.header)
    ignored = [] if is_pinpoint else sorted({column for column in spelling.header if layout.place_of(column) is None})
    counts = ["rows", "bad_rows", *_COUNTS[order.what], *(["put_on_list"] if order.segment is not None else [])]
    told: dict[str, Any] = {"form": spelling.form, "is_pinpoint": is_pinpoint, "ignored_columns": ignored, "not_mapped": {}}
    return {**dict.fromkeys(counts, 0), **told}


def _read(window: bytes, order: ImportOrder, job: Job, *, is_last: bool) -> Batch:
    cursor = job.cursor
    spelling = _SPELLING.validate_python(cursor["spelling"])
    found = read_window(window, Position(**cursor["position"]), spelling, is_last=is_last, most_rows=ROWS_A_PIECE)
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
    elif order.what == "users" and batch.people:
        counts += await _bring_people(connection, job, batch.people)
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


async def _bring_people(connection: Connection, job: Job, rows: Sequence[PersonRow]) -> Counter[str]:
    brought = await rows_in.bring_people(connection, job.app, _together(job, rows))
    return Counter({"users_created": brought.created, "users_changed": brought.changed})


def _together(job: Job, rows: Sequence[PersonRow]) -> list[ImportedPerson]:
    """Each user once, as all of their rows say: of two that say another thing of one moment the later line counts."""
    people: dict[str, ImportedPerson] = {}
    for row in rows:
        known = people.get(row.user_id) or ImportedPerson(row.user_id, row.line)
        stamp = f"import-{job.id}-{row.line:012d}"
        held = [HeldAddress(each.channel, each.address, row.at, each.device, each.is_active) for each in row.addresses]
        people[row.user_id] = ImportedPerson(
            row.user_id,
            known.line,
            changed(known.profile, row.values, row.at, stamp) if row.values else known.profile,
            [*known.addresses, *held] if held else known.addresses,
            {**known.opted_out, **dict.fromkeys(row.opted_out, row.at)} if row.opted_out else known.opted_out,
        )
    return list(people.values())


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
