"""People, events and lists out of files: what comes in, what a bad row costs, and the same file twice."""

import gzip
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from activities.jobs import importing
from journeys.language.errors import Conflict, Invalid, NotFound
from storage import jobs, people, segments
from storage.database import Connection, Database
from storage.jobs import Job
from tests.activities.imports.runs import bad_rows, begun, imported, look, one_piece, to_the_end, uploaded, work_on

PEOPLE = """user_id,email,plan,logins,since
ann,Ann@Example.com,pro,12,2026-01-31
bob,bob@example.com,free,3,2026-02-01T09:00:00+01:00
"""


async def ask(database: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    async with database.transaction() as connection:
        return [tuple(row) for row in await connection.execute(text(statement), values)]


async def attributes(database: Database, user_id: str) -> dict[str, Any]:
    async with database.transaction("demo") as connection:
        return dict((await people.person(connection, "demo", user_id)).attributes)


async def addresses(database: Database) -> list[tuple[Any, ...]]:
    return await ask(
        database,
        "SELECT u.user_id, e.channel, e.address, e.state FROM endpoints e JOIN users u ON u.app = e.app AND u.id = e.user_id"
        " ORDER BY 1, 2, 3",
    )


async def test_people_come_in_with_their_attributes_and_addresses(database: Database) -> None:
    columns = [
        {"column": "logins", "to": "attributes.logins", "type": "number"},
        {"column": "since", "to": "attributes.since", "type": "date"},
    ]
    job = await imported(database, PEOPLE, columns=columns)
    assert (job.state, job.done, job.total) == ("done", 3, 3)
    assert (job.result["rows"], job.result["bad_rows"], job.result["users_created"]) == (2, 0, 2)
    assert await attributes(database, "ann") == {"email": "Ann@Example.com", "plan": "pro", "logins": 12, "since": "2026-01-31"}
    assert (await attributes(database, "bob"))["since"] == "2026-02-01T08:00:00Z"
    assert await addresses(database) == [("ann", "email", "ann@example.com", "active"), ("bob", "email", "bob@example.com", "active")]


async def test_the_same_file_twice_changes_nothing(database: Database) -> None:
    await imported(database, PEOPLE)
    before = await ask(database, "SELECT id, user_id, attributes, updated_at FROM users ORDER BY id")
    second = await imported(database, PEOPLE)
    assert (second.result["users_created"], second.result["users_changed"]) == (0, 0)
    assert await ask(database, "SELECT id, user_id, attributes, updated_at FROM users ORDER BY id") == before
    assert len(await addresses(database)) == 2


async def test_a_changed_row_changes_only_what_it_says(database: Database) -> None:
    await imported(database, PEOPLE)
    second = await imported(database, "user_id,plan\nann,free\nbob,free\n")
    assert second.result["users_changed"] == 1
    assert (await attributes(database, "ann")) == {"email": "Ann@Example.com", "plan": "free", "logins": "12", "since": "2026-01-31"}


async def test_what_was_heard_after_the_moment_of_the_file_stays(database: Database) -> None:
    await imported(database, PEOPLE)
    old = await imported(database, "user_id,plan,town\nann,old,Rome\n", as_of="2020-01-01T00:00:00Z")
    assert old.result["users_changed"] == 1
    assert ((await attributes(database, "ann"))["plan"], (await attributes(database, "ann"))["town"]) == ("pro", "Rome")


async def test_of_two_rows_of_one_user_the_later_line_counts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "user_id,a,b\nann,1,\nann,2,x\nbob,1,\nann,3,\n"
    await imported(database, rows)
    assert await attributes(database, "ann") == {"a": "3", "b": "x"}
    monkeypatch.setattr(importing, "ROWS_A_PART", 1)
    await imported(database, rows.replace("ann", "eve"))
    assert await attributes(database, "eve") == {"a": "3", "b": "x"}


async def test_two_ids_of_one_person_take_turns(database: Database) -> None:
    await imported(database, "user_id,a\nann,0\n")
    await ask_nothing(database, "INSERT INTO identities (app, kind, value, user_id) SELECT 'demo', 'u', 'anna', id FROM users")
    await imported(database, "user_id,a,b\nanna,1,x\nann,2,\n")
    assert await attributes(database, "ann") == {"a": "2", "b": "x"}


async def ask_nothing(database: Database, statement: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(statement))


async def test_json_lines_keep_their_types_and_null_removes(database: Database) -> None:
    await imported(database, '{"user_id": 4711, "plan": "pro", "tags": ["a", "b"], "address": {"city": "Rome"}}\n')
    assert await attributes(database, "4711") == {"plan": "pro", "tags": ["a", "b"], "address": {"city": "Rome"}}
    columns = [{"column": "who.id", "to": "user_id"}]
    await imported(database, '{"who": {"id": "4711"}, "plan": null}\n', columns=columns, rest="ignored")
    assert (await attributes(database, "4711"))["plan"] == "pro"
    await imported(database, '{"user_id": "4711", "plan": null, "timezone": "Europe/Rome", "locale": "it"}\n')
    assert "plan" not in await attributes(database, "4711")
    assert await ask(database, "SELECT timezone, locale FROM users") == [("Europe/Rome", "it")]


async def test_a_bad_row_costs_only_itself_and_is_named_by_line_and_field(database: Database) -> None:
    job = await imported(
        database,
        b"user_id,email,logins,born,ok\n"
        b"ann,ann@example.com,1,1990-01-31,yes\n"
        b",nobody@example.com,1,1990-01-31,yes\n"  # 3: no user
        b"bob,not an address,many,31.01.1990,perhaps\n"  # 4: everything
        b"cid,cid@example.com,1\n"  # 5: cells are missing
        b"dan,dan@ex\xe4mple.com,1,1990-01-31,no\n"  # 6: not UTF-8
        b'eve,"eve@example.com,1,1990-01-31,no\n'  # 7: a quote that nobody closes
        b"fay,fay@example.com,2.5,19900131,0\n",
        columns=[
            {"column": "logins", "to": "attributes.logins", "type": "number"},
            {"column": "born", "to": "attributes.born", "type": "date"},
            {"column": "ok", "to": "attributes.ok", "type": "bool"},
        ],
    )
    assert (job.state, job.result["rows"], job.result["bad_rows"], job.result["users_created"]) == ("done", 7, 5, 2)
    assert [(each.line, each.field, each.code) for each in await bad_rows(database, job)] == [
        (3, "user_id", "required"),
        (4, "born", "no_date"),
        (4, "email", "invalid_email"),
        (4, "logins", "no_number"),
        (4, "ok", "no_bool"),
        (5, "", "wrong_number_of_cells"),
        (6, "email", "wrong_encoding"),
        (7, "", "not_csv"),
    ]
    assert all(each.message and "ann" not in each.message for each in await bad_rows(database, job))
    assert (await attributes(database, "fay")) == {"email": "fay@example.com", "logins": 2.5, "born": "1990-01-31", "ok": False}


async def test_another_encoding_is_read_when_it_is_named(database: Database) -> None:
    await imported(database, "user_id;name\nann;Müller\n".encode("cp1252"), encoding="cp1252")
    assert await attributes(database, "ann") == {"name": "Müller"}


async def test_events_come_in_as_history_and_stand_once(database: Database) -> None:
    rows = (
        "who,what,when,total\nann,order_placed,2026-01-31 09:00,12.5\nann,order_placed,2026-01-31 09:00,12.5\nbob,signed_up,2026-02-01,\n"
    )
    columns = [
        {"column": "who", "to": "user_id"},
        {"column": "what", "to": "event"},
        {"column": "when", "to": "occurred_at"},
        {"column": "total", "to": "properties.total", "type": "number"},
    ]
    first = await imported(database, rows, what="events", columns=columns, timezone="Europe/Berlin")
    assert (first.result["events_stored"], first.result["users_created"]) == (3, 2)
    second = await imported(database, rows, what="events", columns=columns, timezone="Europe/Berlin")
    assert (second.result["events_stored"], second.result["events_known"]) == (0, 3)
    stored = await ask(database, "SELECT name, occurred_at, properties, is_history FROM events ORDER BY occurred_at, seq")
    moment = datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert stored[:2] == [("order_placed", moment, {"total": 12.5}, True)] * 2
    assert len(stored) == 3
    assert await ask(database, "SELECT count(*) FROM outbox") == [(0,)]


async def test_equal_rows_in_different_pieces_are_different_events(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "ROWS_A_PART", 2)
    rows = "user_id,occurred_at\n" + "ann,2026-01-31\n" * 5 + "ann,2026-02-01\n"
    assert (await imported(database, rows, what="events", event="bought")).result["events_stored"] == 6
    monkeypatch.setattr(importing, "ROWS_A_PART", 3)
    longer = rows + "ann,2026-01-31\n"
    assert (await imported(database, longer, what="events", event="bought")).result["events_stored"] == 1


async def test_events_stand_once_also_after_their_ids_are_forgotten(database: Database) -> None:
    rows = "user_id,occurred_at,event_id\nann,2026-01-31,o-1\n"
    await imported(database, rows, what="events", event="bought")
    await ask_nothing(database, "DELETE FROM event_ids")
    assert (await imported(database, rows, what="events", event="bought")).result["events_stored"] == 0
    assert await ask(database, "SELECT count(*) FROM events") == [(1,)]


async def test_a_list_takes_who_is_known_and_names_who_is_not(database: Database) -> None:
    await imported(database, PEOPLE)
    async with database.transaction("demo") as connection:
        await segments.make_static(connection, "demo", "friends")
    job = await imported(database, "user_id\nann\nnobody\nbob\n", what="list", segment="friends")
    assert (job.result["put_on_list"], job.result["bad_rows"]) == (2, 1)
    assert [(each.line, each.code) for each in await bad_rows(database, job)] == [(3, "no_such_user")]
    assert (await imported(database, "user_id\nann\n", what="list", segment="friends")).result["put_on_list"] == 0


async def test_a_file_without_a_header_is_given_one(database: Database) -> None:
    await imported(database, "ann|pro\nbob|free\n", header=["user_id", "plan"], delimiter="|")
    assert await attributes(database, "ann") == {"plan": "pro"}


async def test_gzip_is_unpacked_and_a_mark_at_the_beginning_is_no_part_of_the_header(database: Database) -> None:
    packed = gzip.compress(b"\xef\xbb\xbfuser_id,plan\r\nann,pro\r\n") + gzip.compress(b"bob,free\r\n")
    assert (await imported(database, packed)).result["users_created"] == 2
    assert await attributes(database, "bob") == {"plan": "free"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (gzip.compress(b"user_id\n" * 1000, mtime=0)[:-9], "gzip_not_complete"),
        (b"\x1f\x8b\x08\x00nonsense that is no gzip", "broken_gzip"),
        (b"PK\x03\x04 a spreadsheet", "is_zip"),
        ("user_id\n".encode("utf-16"), "is_utf_16"),
        (b"PAR1 and nothing more", "broken_parquet"),
    ],
)
async def test_what_cannot_be_unpacked_is_refused_whole(database: Database, content: bytes, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        await uploaded(database, content)
    assert [each.code for each in refused.value.problems] == [code]
    assert await ask(database, "SELECT count(*) FROM files") == [(0,)]


async def test_a_huge_line_costs_only_itself(database: Database) -> None:
    huge = b"bob," + b"x" * 9_000_000
    job = await imported(database, b"user_id,plan\nann,pro\n" + huge + b"\ncid," + b"y" * 2_000_000 + b"\ndan,free\n" + b"eve," + huge)
    assert (job.state, job.result["users_created"]) == ("done", 2)
    assert [(each.line, each.code) for each in await bad_rows(database, job)] == [
        (3, "row_too_long"),
        (4, "row_too_long"),
        (6, "row_too_long"),
    ]


async def test_a_piece_that_is_done_again_does_nothing_twice(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "ROWS_A_PART", 10)
    rows = "user_id,occurred_at\n" + "".join(f"u{n % 7},2026-01-{n % 28 + 1:02}\n" for n in range(100))
    work = work_on(database)
    job = await begun(database, "import", {"what": "events", "event": "bought", "file": await uploaded(database, rows.encode())})
    while job.state == "running":
        before, job = job, await one_piece(work, job)
        if before.cursor is not None:
            # A worker that was thought dead comes with the same piece.
            with pytest.raises(Conflict):
                await importing.imports(work, before)
    assert (job.result["events_stored"], await ask(database, "SELECT count(*) FROM events")) == (100, [(100,)])


async def test_of_rows_that_name_one_address_the_last_counts_and_a_device_is_its_persons(database: Database) -> None:
    rows = "user_id,email,address.push\nann,a@example.com,token-1\nann,A@example.com,token-2\nbob,a@example.com,token-1\n"
    await imported(database, rows)
    held = [("ann", "email", "a@example.com", "active"), ("ann", "push", "token-2", "active")]
    assert await addresses(database) == [*held, ("bob", "email", "a@example.com", "active"), ("bob", "push", "token-1", "active")]
    await imported(database, "user_id,address.push\nann,token-1\n")
    assert [row for row in await addresses(database) if row[2] == "token-1"] == [("ann", "push", "token-1", "active")]


async def test_a_job_that_is_stopped_writes_nothing_of_what_was_read_ahead(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "ROWS_A_PART", 1)
    job = await begun(database, "import", {"what": "users", "file": await uploaded(database, b"user_id\nann\nbob\ncid\n")})
    bring = importing._bring

    async def bring_and_stop(connection: Connection, job: Job, *more: Any) -> dict[str, Any]:
        async with database.transaction() as other:
            await jobs.stop(other, "demo", job.id)
        return await bring(connection, job, *more)

    monkeypatch.setattr(importing, "_bring", bring_and_stop)
    work = work_on(database)
    stopped = await one_piece(work, await one_piece(work, job))
    assert (stopped.state, stopped.result["rows"]) == ("stopped", 1)
    assert await ask(database, "SELECT user_id FROM users") == [("ann",)]


async def test_what_a_piece_has_written_before_it_fails_stays_and_is_not_written_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "ROWS_A_PART", 1)
    work = work_on(database)
    job = await begun(database, "import", {"what": "users", "file": await uploaded(database, b"user_id\nann\nbob\ncid\n")})
    job = await one_piece(work, job)
    bring, turns = importing._bring, iter([True, False, True, True])

    async def fail_once(*given: Any) -> dict[str, Any]:
        if not next(turns):
            raise ZeroDivisionError
        return await bring(*given)

    monkeypatch.setattr(importing, "_bring", fail_once)
    with pytest.raises(ZeroDivisionError):
        await one_piece(work, job)
    half = await look(database, job)
    assert (half.result["rows"], half.result["users_created"]) == (1, 1)
    done = await to_the_end(work, half)
    assert (done.result["rows"], done.result["users_created"]) == (3, 3)


async def test_a_file_that_is_gone_says_what_to_do(database: Database) -> None:
    job = await begun(database, "import", {"what": "users", "file": "019a0000-0000-8000-8000-000000000000"})
    with pytest.raises(NotFound, match="Upload it again"):
        await one_piece(work_on(database), job)
