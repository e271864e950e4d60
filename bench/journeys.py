"""Whole short journeys a second, ingest, relay and ledger included, beside a bare Temporal workflow of the same steps.

Both run on the same server and Postgres, in turns: three sends, a timer of a second and an event that is waited for. The bare workflow
has its sends as ordinary activities that do nothing; ours come in over HTTP and leave through the sandbox, each with its ledger row.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import text
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench import harness
from bench.bare import QUEUE, Bare
from cli.children import sojourn, start_child, stop_child
from cli.embedded_postgres import EmbeddedPostgres, free_port
from journeys.language import Journey, Send, Wait, WaitFor, email, event, minutes, push, seconds, sms
from journeys.language.codec import content_hash, to_json
from storage import journeys, keys, templates
from storage.database import Database
from tests.workflows.stage import FILES

PEOPLE = int(os.environ.get("SOJOURN_BENCH_PEOPLE", "400"))
ROUNDS = 3
BATCH = 50
GOAL = 1.3
JOURNEY = Journey(
    "short",
    starts_on=event("signed_up"),
    message_class="transactional",
    steps=[
        Send("welcome", email("welcome")),
        Wait("settle_in", seconds(1)),
        Send("guide", push("guide")),
        WaitFor("bought", event("order_placed"), since="entry", within=minutes(10), then=[Send("thanks", sms("thanks"))]),
    ],
)


def main() -> None:
    with harness.folder() as place, harness.postgres(place) as server, harness.temporal(place, server) as address:
        os.environ["TEMPORAL_ADDRESS"] = address
        os.environ["SOJOURN_DATABASE_URL"] = server.url
        key = asyncio.run(prepare(server))
        with processes(place) as port:
            ours, bare = asyncio.run(measure(server, address, key, port))
    print(f"ours {[round(each, 1) for each in ours]}, bare {[round(each, 1) for each in bare]} journeys a second, {PEOPLE} a round")
    harness.report("journeys", statistics.median(ours), "journeys/s", limit=statistics.median(bare), goal=GOAL)


async def prepare(server: EmbeddedPostgres) -> str:
    """An app with the journey, its templates and a write key."""
    database = Database(server.url)
    async with database.transaction() as connection:
        await connection.execute(text("INSERT INTO apps (id, name) VALUES ('demo', 'Demo')"))
        await journeys.publish(
            connection,
            "demo",
            name=JOURNEY.name,
            definition=to_json(JOURNEY).decode(),
            content_hash=content_hash(JOURNEY),
            entry_names=JOURNEY.entry_names,
            listen_names=JOURNEY.signal_names,
        )
        for name in ("welcome", "guide", "thanks"):
            await templates.publish(connection, "demo", name, dict(FILES), name)
        made = await keys.create(connection, "demo", "write")
    await database.close()
    return made


@contextmanager
def processes(place: Path) -> Iterator[int]:
    """An api, a worker of ours and a worker of the bare workflow; the two workers take turns in having something to do."""
    port = free_port()
    children: list[subprocess.Popen[bytes]] = [
        start_child(sojourn("api", "--port", str(port)), place / "api.log"),
        start_child(sojourn("worker"), place / "worker.log"),
        start_child([sys.executable, "-m", "bench.bare"], place / "bare.log"),
    ]
    try:
        harness.until_ready(port)
        yield port
    finally:
        for child in children:
            stop_child(child)


async def measure(server: EmbeddedPostgres, address: str, key: str, port: int) -> tuple[list[float], list[float]]:
    database = Database(server.url)
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    ours, bare = [], []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=(key, ""), timeout=30) as http:
        await through_sojourn(database, http, 50)
        await through_bare(client, 50)
        for _ in range(ROUNDS):
            ours.append(await through_sojourn(database, http, PEOPLE))
            bare.append(await through_bare(client, PEOPLE))
    await database.close()
    return ours, bare


async def through_sojourn(database: Database, http: httpx.AsyncClient, people: int) -> float:
    """Journeys a second from the first request to the last enrollment closed, every message sent."""
    users = [f"{uuid4().hex[:12]}" for _ in range(people)]
    before = await _closed(database)
    began = time.perf_counter()
    await _post(http, [_identify(user) for user in users] + [_track(user, "signed_up") for user in users])
    await _post(http, [_track(user, "order_placed") for user in users])
    while await _closed(database) - before < people:
        if time.perf_counter() - began > 300:
            raise RuntimeError("the journeys did not end")
        await asyncio.sleep(0.05)
    lasted = time.perf_counter() - began
    async with database.transaction() as connection:
        sent = (await connection.execute(text("SELECT count(*) FROM messages WHERE state = 'sent'"))).scalar_one()
        closed = (await connection.execute(text("SELECT count(*) FROM enrollments WHERE end_reason = 'completed'"))).scalar_one()
    assert sent == 3 * closed, f"{sent} messages of {closed} journeys"
    return people / lasted


async def through_bare(client: Client, people: int) -> float:
    """The same with start, signal and result of bare workflows, a hundred calls in flight."""
    gate = asyncio.Semaphore(100)
    ids = [f"bare-{uuid4().hex[:12]}" for _ in range(people)]

    async def start(workflow: str) -> Any:
        async with gate:
            return await client.start_workflow(Bare.run, "hello", id=workflow, task_queue=QUEUE)

    async def tell(workflow: str) -> None:
        async with gate:
            await client.get_workflow_handle(workflow).signal("event", {"name": "order_placed"})

    began = time.perf_counter()
    handles = await asyncio.gather(*(start(workflow) for workflow in ids))
    await asyncio.gather(*(tell(workflow) for workflow in ids))
    await asyncio.gather(*(handle.result() for handle in handles))
    return people / (time.perf_counter() - began)


async def _post(http: httpx.AsyncClient, items: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(items), BATCH):
        answer = await http.post("/v1/batch", json={"batch": items[start : start + BATCH]})
        answer.raise_for_status()
        assert answer.json().get("success"), answer.text


async def _closed(database: Database) -> int:
    async with database.transaction() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM enrollments WHERE state = 'closed'"))).scalar_one())


def _identify(user: str) -> dict[str, Any]:
    traits = {"email": f"{user}@example.com", "phone": "+4915112345678"}
    return {
        "type": "identify",
        "userId": user,
        "messageId": f"{user}-i",
        "traits": traits,
        "context": {"device": {"token": f"device-{user}", "type": "ios"}, "consents": [{"channel": "sms", "state": "granted"}]},
    }


def _track(user: str, name: str) -> dict[str, Any]:
    return {"type": "track", "userId": user, "messageId": f"{user}-{name}", "event": name}


if __name__ == "__main__":
    main()
