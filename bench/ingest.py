"""Durable events a second through the HTTP door, beside raw multi-row inserts of the same rows into the same Postgres.

Both work in batches of 100, each batch one commit with fsync, over the same number of connections, in turns. The figure is the median.
"""

import asyncio
import os
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import httpx
import orjson
from sqlalchemy import text

from bench import harness
from cli.children import sojourn, start_child, stop_child
from cli.embedded_postgres import free_port
from storage import keys
from storage.database import Database

BATCH, PEOPLE, CONNECTIONS, ROUNDS = 100, 20_000, 8, 5
PROCESSES = int(os.environ.get("SOJOURN_BENCH_PROCESSES", "2"))
EVENTS = int(os.environ.get("SOJOURN_BENCH_EVENTS", "20000"))
NAMES = [*["product_viewed"] * 90, *["cart_updated"] * 9, "signed_up"]
COLUMNS = "app, received_at, user_id, event_id, name, properties, context, occurred_at, is_history"
VALUES = ", ".join(f"({', '.join(f'${9 * row + column}' for column in range(1, 10))})" for row in range(BATCH))


def calls(number: int) -> list[dict[str, object]]:
    """Plain calls of a shop's server, as the libraries write them."""
    return [
        {
            "type": "track",
            "messageId": str(uuid4()),
            "userId": f"user-{random.randrange(PEOPLE)}",
            "event": random.choice(NAMES),
            "timestamp": datetime.now(UTC).isoformat(),
            "properties": {
                "sku": f"sku-{random.randrange(5000)}",
                "price": random.randrange(100, 9000) / 100,
                "currency": "EUR",
                "position": 3,
            },
            "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
            "integrations": {},
        }
        for _ in range(number)
    ]


def batches(items: Sequence[dict[str, object]]) -> Iterator[Sequence[dict[str, object]]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


async def through_the_door(ports: Sequence[int], key: str, items: Sequence[dict[str, object]]) -> float:
    """Events a second, all of them answered with success."""
    requests = [_request(key, batch) for batch in batches(items)]
    connections = [await asyncio.open_connection("127.0.0.1", ports[n % len(ports)]) for n in range(CONNECTIONS)]
    began_at = time.perf_counter()
    await asyncio.gather(*(_post(reader, writer, requests[n::CONNECTIONS]) for n, (reader, writer) in enumerate(connections)))
    seconds = time.perf_counter() - began_at
    for _, writer in connections:
        writer.close()
    return len(items) / seconds


def _request(key: str, batch: Sequence[dict[str, object]]) -> bytes:
    body = orjson.dumps({"batch": batch, "sentAt": datetime.now(UTC).isoformat()})
    lines = [f"authorization: Bearer {key}", "content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join(["POST /v1/batch HTTP/1.1", "host: sojourn", *lines, "", ""]).encode() + body


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: Sequence[bytes]) -> None:
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        if body != b'{"success":true}':
            raise AssertionError(head + body)


async def raw(pool: asyncpg.Pool, items: Sequence[dict[str, object]]) -> float:
    """Events a second, as rows of the same table with nothing around them."""
    rows = [_rows(batch) for batch in batches(items)]
    began_at = time.perf_counter()
    await asyncio.gather(*(_insert(pool, rows[n::CONNECTIONS]) for n in range(CONNECTIONS)))
    return len(items) / (time.perf_counter() - began_at)


def _rows(batch: Sequence[dict[str, object]]) -> list[object]:
    now = datetime.now(UTC)
    found: list[object] = []
    for item in batch:
        person = int(str(item["userId"]).removeprefix("user-"))
        found += ["demo", now, person, str(uuid4()), item["event"]]
        found += [orjson.dumps(item["properties"]).decode(), orjson.dumps(item["context"]).decode(), now, False]
    return found


async def _insert(pool: asyncpg.Pool, batches_of_rows: Sequence[Sequence[object]]) -> None:
    async with pool.acquire() as connection:
        statement = await connection.prepare(f"INSERT INTO events ({COLUMNS}) VALUES {VALUES}")
        for rows in batches_of_rows:
            await statement.fetch(*rows)


async def prepare(url: str) -> str:
    """An app with a write key, a journey that listens to some of the events, and people who are known."""
    database = Database(url)
    async with database.transaction() as connection:
        await connection.execute(text("INSERT INTO apps (id, name) VALUES ('demo', 'Demo')"))
        key = await keys.create(connection, "demo", "write")
        await connection.execute(text("INSERT INTO journeys (app, name, live_version) VALUES ('demo', 'onboarding', 1)"))
        await connection.execute(
            text(
                "INSERT INTO journey_versions (app, journey, version, hash, definition, entry_names, listen_names)"
                " VALUES ('demo', 'onboarding', 1, '', '{}', ARRAY['signed_up'], ARRAY['cart_updated'])"
            )
        )
    await database.close()
    return key


async def wait_until_ready(port: int) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(60):
        while not await _is_ready(client, port):  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.1)


async def _is_ready(client: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


async def measure(url: str, ports: Sequence[int], key: str) -> tuple[list[float], list[float]]:
    for port in ports:
        await wait_until_ready(port)
    pool = await asyncpg.create_pool(url.replace("+asyncpg", ""), min_size=CONNECTIONS, max_size=CONNECTIONS)
    people: list[dict[str, object]] = [
        {"type": "identify", "userId": f"user-{n}", "messageId": str(uuid4()), "traits": {"plan": "free"}} for n in range(PEOPLE)
    ]
    await through_the_door(ports, key, people)
    await raw(pool, calls(EVENTS // 4))
    doors, raws = [], []
    for number in range(ROUNDS):
        raws.append(await raw(pool, calls(EVENTS)))
        doors.append(await through_the_door(ports, key, calls(EVENTS)))
        print(f"round {number + 1}: door {doors[-1]:,.0f}/s, raw {raws[-1]:,.0f}/s", flush=True)
    await pool.close()
    return doors, raws


def main() -> None:
    with harness.folder() as place, harness.postgres(place) as server:
        key = asyncio.run(prepare(server.url))
        ports = [free_port() for _ in range(PROCESSES)]
        environment = {"SOJOURN_DATABASE_URL": server.url}
        children = [start_child(sojourn("api", "--port", str(port)), place / f"api-{port}.log", environment=environment) for port in ports]
        try:
            doors, raws = asyncio.run(measure(server.url, ports, key))
        finally:
            for child in children:
                stop_child(child)
    harness.report("ingest", statistics.median(doors), "durable events/s", limit=statistics.median(raws), goal=0.6)


if __name__ == "__main__":
    main()
