"""Users a second out of a file, beside raw COPY of the same users into empty tables with the same indexes in the same Postgres.

The file is CSV with five columns; each row makes a user with four attributes, an id and an address. SOJOURN_BENCH_ROWS says how many.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

import asyncpg

from activities.imports.arriving import take_in
from activities.jobs.importing import imports
from activities.jobs.work import Work
from bench import harness
from journeys.language.errors import Conflict
from storage import jobs
from storage.database import Database
from storage.ids import address_hash
from storage.jobs import Job

ROWS = int(os.environ.get("SOJOURN_BENCH_ROWS", "1000000"))
AT_ONCE = 10_000
COPIED_AT_ONCE = 100_000
# What the goal of a million users is held to: a fifth of what Postgres takes when nobody looks at the rows.
GOAL = 0.2
COLUMNS = [
    {"column": "age", "to": "attributes.age", "type": "number"},
    {"column": "since", "to": "attributes.since", "type": "date"},
]
MOST_BYTES = 2 * 1024**3


def main() -> None:
    with harness.folder() as place, harness.postgres(place) as server:
        first, second, raw = asyncio.run(measure(server.database_url("sojourn")))
    print(f"\n{ROWS:,} users: first import {first:,.0f} rows/s, the same file again {second:,.0f} rows/s, raw COPY {raw:,.0f} rows/s")
    harness.report("imports", first, "rows/s", limit=raw, goal=GOAL)


def row(n: int) -> tuple[str, str, str, int, str]:
    return f"user-{n}", f"user-{n}@example.com", ("pro", "free")[n % 2], n % 80, f"2026-01-{n % 28 + 1:02}"


async def file() -> AsyncIterator[bytes]:
    yield b"user_id,email,plan,age,since\n"
    for start in range(0, ROWS, AT_ONCE):
        yield "".join(",".join(map(str, row(n))) + "\n" for n in range(start, min(start + AT_ONCE, ROWS))).encode()


async def measure(url: str) -> tuple[float, float, float]:
    """Rows a second of the first import, of the second, and of COPY."""
    database = Database(url)
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('demo', 'Demo')")
    arrived = await take_in(database, "demo", file(), name="users.csv", most_bytes=MOST_BYTES)
    raw = await by_copy(url.replace("+asyncpg", ""))
    first = await by_import(database, str(arrived.id))
    second = await by_import(database, str(arrived.id))
    await database.close()
    return first, second, raw


async def by_copy(url: str) -> float:
    """What Postgres takes when nobody looks at the rows: people, their ids and their addresses, ready made."""
    connection = await asyncpg.connect(url)
    for table in ("users", "identities", "endpoints"):
        await connection.execute(f"CREATE TABLE raw_{table} (LIKE {table} INCLUDING ALL)")
    took = 0.0
    for first in range(0, ROWS, COPIED_AT_ONCE):
        took += await copied(connection, first, min(first + COPIED_AT_ONCE, ROWS))
    await connection.execute("DROP TABLE raw_users, raw_identities, raw_endpoints")
    await connection.close()
    return ROWS / took


async def copied(connection: asyncpg.Connection, first: int, end: int) -> float:
    """Seconds of COPY alone: a million rows at once, ready made, would be a matter of memory."""
    rows, now = [row(n) for n in range(first, end)], datetime.now(UTC)
    told = [{"email": email, "plan": plan, "age": age, "since": since} for _, email, plan, age, since in rows]
    clocks = [json.dumps({key: [1, "import"] for key in each}) for each in told]
    numbered = list(enumerate(rows, first))
    people = [("demo", n, each[0], json.dumps(said), clock) for (n, each), said, clock in zip(numbered, told, clocks, strict=True)]
    ids = [("demo", "u", each[0], n) for n, each in numbered]
    held = [("demo", n, n, "email", each[1], address_hash("demo", "email", each[1]), now) for n, each in numbered]
    began_at = time.perf_counter()
    await connection.copy_records_to_table("raw_users", records=people, columns=["app", "id", "user_id", "attributes", "attribute_clock"])
    await connection.copy_records_to_table("raw_identities", records=ids, columns=["app", "kind", "value", "user_id"])
    columns = ["app", "id", "user_id", "channel", "address", "address_hash", "confirmed_at"]
    await connection.copy_records_to_table("raw_endpoints", records=held, columns=columns)
    return time.perf_counter() - began_at


async def by_import(database: Database, file_id: str) -> float:
    work = Work(database, cast("Any", None), "")
    async with database.transaction("demo") as connection:
        job = await jobs.create(connection, "demo", "import", {"what": "users", "file": file_id, "columns": COLUMNS})
    began_at = time.perf_counter()
    while job.state == "running":
        job = await piece(work, job)
    assert (job.result["rows"], job.result["bad_rows"]) == (ROWS, 0)
    return ROWS / (time.perf_counter() - began_at)


async def piece(work: Work, job: Job) -> Job:
    progress = await imports(work, job)
    # Every piece but the first has written its own progress down.
    with suppress(Conflict):
        async with work.database.transaction() as connection:
            await jobs.advance(connection, job, progress)
    print(f"\r{job.done:,} of {job.total or 0:,}", end="", flush=True)
    async with work.database.transaction() as connection:
        return await jobs.get(connection, job.app, job.id)


if __name__ == "__main__":
    main()
