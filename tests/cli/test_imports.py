"""`sojourn import` and `sojourn export` against a served API; a test stands in for the worker."""

import asyncio
import csv
import gzip
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import orjson
import pyarrow.parquet
import pytest
from fastapi import FastAPI
from temporalio.exceptions import ApplicationError

from activities.jobs import exporting
from activities.jobs.catalogue import KINDS
from activities.jobs.order import JobOrder
from activities.jobs.runner import Jobs
from activities.jobs.work import Work
from storage import jobs
from storage.database import Database
from tests.activities.imports.runs import imported
from tests.cli.conftest import Command

PEOPLE = "Id,E-Mail,Born,Plan\nann,ann@example.com,31.01.1990,pro\nbob,no address,1.2.1991,free\ncid,cid@example.com,,free\n"
MAPPED = ("--map", "user_id=Id", "--map", "email=E-Mail", "--map", "attributes.born:date:%d.%m.%Y=Born")


def write(name: str, content: str | bytes) -> None:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)


def read(name: str) -> str:
    return Path(name).read_text()


def rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(read(name).splitlines()))


@pytest.fixture(autouse=True)
async def _worker(served: FastAPI, database: Database) -> AsyncIterator[None]:
    """Does the pieces of whatever job runs, as a worker would."""
    made = Jobs(Work(database, cast("Any", None), ""), KINDS, first_backoff=timedelta(milliseconds=1))

    async def work() -> None:
        while True:
            async with database.transaction() as connection:
                running = await jobs.untouched(connection, timedelta(0))
            for app, job_id in running:
                # A piece that failed: Temporal would try again.
                with suppress(ApplicationError):
                    await made._do_piece(JobOrder(app, str(job_id)))
            await asyncio.sleep(0.05)

    working = asyncio.create_task(work())
    yield
    working.cancel()


async def test_numbers_that_are_kept_as_text_are_told_with_the_remedy(sojourn: Command) -> None:
    rows = "user_id,spent,vip,zip,plan,age\n" + "".join(f"u{n},{n}.50,{'true' if n % 2 else 'FALSE'},0123{n},gold,\n" for n in range(3))
    write("typed.csv", rows + "u9,12,true,99999,7,\n")
    told = await sojourn("import", "users", "typed.csv")
    assert [line.strip() for line in told.splitlines() if "looks like" in line] == [
        "spent is kept as text and looks like a number: --map attributes.spent:number=spent",
        "vip is kept as text and looks like a bool: --map attributes.vip:bool=vip",
    ]
    mapped = ("--map", "attributes.spent:number=spent", "--map", "attributes.vip:text=vip")
    assert "looks like" not in await sojourn("import", "users", "typed.csv", *mapped)


async def test_users_are_imported_and_bad_rows_named(sojourn: Command) -> None:
    write("people.csv", PEOPLE)
    told = await sojourn("import", "users", "people.csv", *MAPPED, "--segment", "friends")
    assert "rows read: 3" in told
    assert "new users: 2" in told
    assert "put on the list: 2" in told
    assert "line 3, E-Mail: one address, such as name@example.com (invalid_email)" in told
    job = told.split("bad-rows ")[1].split()[0]
    kept = list(csv.reader((await sojourn("import", "bad-rows", job)).splitlines()))
    assert kept == [["line", "field", "code", "message"], ["3", "E-Mail", "invalid_email", "one address, such as name@example.com"]]
    assert "bob" not in await sojourn("segment", "who", "friends")


async def test_what_a_file_lacks_is_said_before_a_job_begins(sojourn: Command) -> None:
    write("people.csv", PEOPLE)
    assert "user_id: no column of the file gives this" in await sojourn("import", "users", "people.csv", code=1)
    assert "does not have this column" in await sojourn("import", "users", "people.csv", "--map", "user_id=Nr", code=1)
    assert "there is no file nowhere.csv" in await sojourn("import", "users", "nowhere.csv", code=1)
    assert "TARGET=COLUMN" in await sojourn("import", "users", "people.csv", "--map", "user_id", code=1)
    assert "one of user_id, email" in await sojourn("import", "users", "people.csv", "--map", "mail=E-Mail", code=1)
    assert "None" not in await sojourn("jobs", "list")


async def test_a_cut_off_gzip_is_refused_at_once(sojourn: Command) -> None:
    write("people.csv.gz", gzip.compress(PEOPLE.encode())[:-20])
    assert "the gzip ends in the middle" in await sojourn("import", "users", "people.csv.gz", *MAPPED, code=1)


async def test_events_and_a_list_are_imported(sojourn: Command, database: Database) -> None:
    write("orders.csv", "customer;day;total\nann;20260131;12.5\n")
    mapped = ("--map", "user_id=customer", "--map", "occurred_at=day", "--map", "properties.total:number=total")
    assert "new events: 1" in await sojourn("import", "events", "orders.csv", "--event", "order_placed", *mapped)
    assert "known events: 1" in await sojourn("import", "events", "orders.csv", "--event", "order_placed", *mapped)
    write("list.ndjson", '{"user_id": "ann"}\n{"user_id": "nobody"}\n')
    told = await sojourn("import", "list", "friends", "list.ndjson")
    assert ("put on the list: 1" in told, "line 2, user_id: no user has this id" in told) == (True, True)


async def test_a_url_that_may_not_be_read_is_refused(sojourn: Command) -> None:
    assert "SOJOURN_FILE_PLACES" in await sojourn("import", "users", "s3://acme/people.csv", code=1)
    assert "http, https, s3 or gs" in await sojourn("import", "users", "file:///etc/passwd", code=1)
    assert "the address is not a public one" in await sojourn("import", "users", "http://127.0.0.1:9/people.csv", code=1)


@pytest.fixture
async def _known(served: FastAPI, database: Database) -> None:
    await imported(
        database,
        "user_id,email,plan,age,timezone\nann,ann@example.com,pro,31,Europe/Rome\nbob,bob@example.com,free,,\n",
        columns=[{"column": "age", "to": "attributes.age", "type": "number"}],
    )


@pytest.mark.usefixtures("_known")
async def test_users_are_exported_and_the_file_can_be_imported(
    sojourn: Command, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PEOPLE_A_PIECE", 1)
    for name in ("out.csv", "out.ndjson", "out.parquet"):
        assert f"2 users are in {name}" in await sojourn("export", "users", name)
        told = await sojourn("import", "users", name, "--map", "attributes.age:number=attributes.age")
        assert ("rows read: 2" in told, "changed users: 0" in told) == (True, True), told
    [ann, _] = rows("out.csv")
    assert (ann["user_id"], ann["address.email"], ann["attributes.plan"], ann["timezone"]) == (
        "ann",
        "ann@example.com",
        "pro",
        "Europe/Rome",
    )
    lines = [orjson.loads(line) for line in read("out.ndjson").splitlines()]
    assert lines[0]["attributes.age"] == 31
    assert pyarrow.parquet.read_table("out.parquet")["attributes.plan"].to_pylist() == ["pro", "free"]


@pytest.mark.usefixtures("_known")
async def test_who_is_in_a_segment_is_exported(sojourn: Command) -> None:
    write("list.csv", "user_id\nbob\n")
    await sojourn("import", "list", "friends", "list.csv")
    assert "1 users are in out.csv" in await sojourn("export", "segment", "friends", "out.csv", "--attribute", "plan")
    assert [row["attributes.plan"] for row in rows("out.csv")] == ["free"]
    assert "attributes.age" not in read("out.csv")
    assert "the name of the file says how" in await sojourn("export", "users", "out.xls", code=1)
