"""A campaign of 20,000 mails, and ten SIGKILLs of random processes meanwhile: the mail server's own record against the ledger.

figure: messages that are lost, doubled, wrongly called sent, or unconfirmed beyond one a lane of a killed worker; goal: none.
What is unconfirmed is listed. Killed are workers, processes of Postgres and Temporal, in an order that SOJOURN_BENCH_SEED draws.

A lane sends over one connection, but to a slow server over as many as it needs (docs/decisions/0105), each with a mail under way. Here a
worker has as many connections as lanes, so that no more mails are under way than that.
"""

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from activities.campaigns.lanes import House
from bench import blasting, harness
from bench.machine import tree
from cli.children import stop_child
from cli.embedded_postgres import EmbeddedPostgres
from journeys.language.errors import Unavailable
from storage.database import Database

PEOPLE = blasting.setting("PEOPLE", 20_000)
KILLS = blasting.setting("KILLS", 10)
SEED = blasting.setting("SEED", 7)
LANES = House.lanes
# The share of the people that has got theirs by the last kill.
LAST_KILL = 0.9
# Of five kills.
VICTIMS = ("worker", "worker", "worker", "postgres", "temporal")


def main() -> None:
    with harness.folder() as place, harness.postgres(place) as server, harness.killable_temporal(place, server) as temporal:
        os.environ["TEMPORAL_ADDRESS"] = temporal.address
        os.environ["SOJOURN_DATABASE_URL"] = server.url
        record = place / "taken"
        environment = {"SINK_RECORD": str(record), "SINK_DELAY_MS": "5"}
        with blasting.sink(place, environment) as (port, _):
            wrong = asyncio.run(_blast(_Town(place, server, temporal, port), record))
    harness.report("blast-kill", wrong, "messages lost, doubled or wrongly told", limit=1, goal=0, at_most=True)


@dataclass
class _Town:
    """All that may be killed."""

    place: Path
    server: EmbeddedPostgres
    temporal: harness.Temporal
    port: int
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_worker(self) -> subprocess.Popen[bytes]:
        return blasting.start_worker(self.place, self.server, self.port, connections=LANES)

    def kill(self, what: str, chance: random.Random) -> str:
        """SIGKILL. A worker and Temporal are started anew; of Postgres a process dies, and it recovers by itself."""
        match what:
            case "temporal":
                self.temporal.kill()
                return "Temporal"
            case "postgres":
                os.kill(chance.choice(list(tree(self.server.postmaster_pid()))[1:]), signal.SIGKILL)
                asyncio.run(self._until_recovered())
                return "a process of Postgres"
            case _:
                number = chance.randrange(len(self.workers))
                self.workers[number].kill()
                self.workers[number].wait()
                self.workers[number] = self.start_worker()
                return f"worker {number}"

    async def _until_recovered(self) -> None:
        database = Database(self.server.url)
        while True:
            with suppress(Unavailable):
                async with database.transaction() as connection:
                    await connection.execute(text("SELECT 1"))
                break
            await asyncio.sleep(0.1)
        await database.close()


async def _blast(town: _Town, record: Path) -> int:
    database = Database(town.server.url)
    await blasting.prepare(database)
    await blasting.fill(database, PEOPLE)
    town.workers += [town.start_worker() for _ in range(2)]
    try:
        await blasting.launch(database)
        killed = await asyncio.to_thread(_kill, town, record)
        await blasting.until_finished(database)
    finally:
        for worker in town.workers:
            stop_child(worker)
    found = await _compare(database, record, killed)
    await database.close()
    return found


def _kill(town: _Town, record: Path) -> int:
    """Kill each time another share has left; what leaves while Temporal starts is no share. Returns how many workers it were."""
    chance = random.Random(SEED)
    victims = drawn(chance, KILLS)
    left = 0
    for number, victim in enumerate(victims):
        due = left + max(0.0, PEOPLE * LAST_KILL - left) / (KILLS - number)
        while len(_taken(record)) < due:
            time.sleep(0.05)
        print(f"kill {number + 1}, after {len(_taken(record))} mails: {town.kill(victim, chance)}", flush=True)
        left = len(_taken(record))
    return victims.count("worker")


def drawn(chance: random.Random, kills: int) -> list[str]:
    """What to kill, in what order: of each kind its share, and of ten kills two of Postgres and two of Temporal."""
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
    chance.shuffle(victims)
    return victims


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
    return lost + doubled + phantom + untold + unconfirmed_beyond(states["unknown"], listed, killed)


def unconfirmed_beyond(unknown: int, listed: int, killed: int) -> int:
    """How many are unconfirmed beyond one a lane and kill of a worker, or are not listed."""
    return max(0, unknown - killed * LANES) + abs(unknown - listed)


if __name__ == "__main__":
    main()
