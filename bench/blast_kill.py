"""A campaign of 20,000 mails, and ten SIGKILLs of random processes meanwhile: the mail server's own record against the ledger.

figure: messages that are lost, doubled, wrongly called sent, or unconfirmed beyond one a connection of a killed worker; goal: none.
What is unconfirmed is listed.
"""

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from sqlalchemy import text

from bench import blasting, harness
from bench.machine import tree
from cli.children import stop_child
from cli.embedded_postgres import EmbeddedPostgres
from storage.database import Database

PEOPLE = blasting.setting("PEOPLE", 20_000)
KILLS = blasting.setting("KILLS", 10)
SEED = blasting.setting("SEED", 7)
CONNECTIONS = 10


def main() -> None:
    with harness.folder() as place, harness.postgres(place) as server, harness.temporal(place, server) as address:
        os.environ["TEMPORAL_ADDRESS"] = address
        os.environ["SOJOURN_DATABASE_URL"] = server.url
        record = place / "taken"
        environment = {"SINK_RECORD": str(record), "SINK_DELAY_MS": "1"}
        with blasting.sink(place, environment) as (port, _):
            wrong = asyncio.run(_blast(place, server, port, record))
    harness.report("blast-kill", wrong, "messages lost, doubled or wrongly told", limit=1, goal=0, at_most=True)


async def _blast(place: Path, server: EmbeddedPostgres, port: int, record: Path) -> int:
    database = Database(server.url)
    await blasting.prepare(database)
    await blasting.fill(database, PEOPLE)
    workers = [blasting.start_worker(place, server, port, CONNECTIONS) for _ in range(2)]
    try:
        await blasting.launch(database)
        killed = await asyncio.to_thread(_kill, place, server, port, record, workers)
        await blasting.until_finished(database)
    finally:
        for worker in workers:
            stop_child(worker)
    found = await _compare(database, record, killed)
    await database.close()
    return found


def _kill(place: Path, server: EmbeddedPostgres, port: int, record: Path, workers: list[subprocess.Popen[bytes]]) -> int:
    """SIGKILL each time another twelfth has left: of a worker, which is started anew, or of a backend of Postgres, which recovers."""
    chance = random.Random(SEED)
    killed = 0
    for number in range(1, KILLS + 1):
        while len(_taken(record)) < PEOPLE * number / (KILLS + 2):
            time.sleep(0.05)
        if number % 4 == 0:
            os.kill(chance.choice(list(tree(server.postmaster_pid()))[1:]), signal.SIGKILL)
            print(f"kill {number}: a process of Postgres", flush=True)
            continue
        victim = chance.randrange(len(workers))
        workers[victim].kill()
        workers[victim].wait()
        workers[victim] = blasting.start_worker(place, server, port, CONNECTIONS)
        killed += 1
        print(f"kill {number}: worker {victim}", flush=True)
    return killed


def _taken(record: Path) -> list[str]:
    """The ids of all mails that the mail server took."""
    return record.read_text().split() if record.exists() else []


async def _compare(database: Database, record: Path, killed: int) -> int:
    taken = Counter(_taken(record))
    async with database.transaction() as connection:
        rows = (await connection.execute(text("SELECT id::text, state, reason FROM messages"))).all()
        listed: int = (await connection.execute(text("SELECT count(*) FROM open_messages WHERE kind = 'unknown'"))).scalar_one()
    states = Counter(row.state for row in rows)
    doubled = sum(1 for number in taken.values() if number > 1)
    phantom = sum(1 for row in rows if row.state == "sent" and row.id not in taken)
    untold = sum(1 for row in rows if row.state not in {"sent", "unknown"} and row.id in taken)
    lost = PEOPLE - len(rows) + states["planned"] + states["claimed"] + states["deferred"]
    print(f"{len(taken)} mails at the server; the ledger: {dict(states)}; {listed} listed as unconfirmed, after {killed} kills of workers")
    print(f"lost {lost}, doubled {doubled}, called sent but not there {phantom}, there but called otherwise {untold}")
    too_many = max(0, states["unknown"] - killed * CONNECTIONS) + abs(states["unknown"] - listed)
    return lost + doubled + phantom + untold + too_many


if __name__ == "__main__":
    main()
