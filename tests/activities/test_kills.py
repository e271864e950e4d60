"""SIGKILL of a real process at each moment of a send, and of a real Postgres during COMMIT: nothing lost, nobody written to twice."""

import asyncio
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from activities.messages import Messages
from activities.orders import SendOrder
from cli.embedded_postgres import EmbeddedPostgres, free_port
from journeys.language.errors import Unavailable
from storage.database import Database
from storage.migrations.runner import migrate
from tests.activities.town import Town, build, enroll, order_of

pytestmark = pytest.mark.crash
ROOT = Path(__file__).parents[2]


async def kill_at(where: str, url: str, enrollment: str, record: Path) -> None:
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.activities.victim", url, enrollment, where, str(record), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert victim.stdout is not None
    assert await asyncio.wait_for(victim.stdout.readline(), 60) == b"here\n"
    victim.kill()
    await victim.communicate()


@pytest.mark.parametrize(
    "killed",
    [
        ("before", 0, ("unknown", "unconfirmed")),  # claimed, nothing sent: listed as unconfirmed, never sent blindly
        ("after", 1, ("unknown", "unconfirmed")),  # sent, not settled
        ("settled", 1, ("sent", None)),  # settled, the verdict never heard
    ],
)
async def test_a_process_killed_in_the_middle_of_a_send(
    town: Town, database_url: str, tmp_path: Path, killed: tuple[str, int, tuple[str, str | None]]
) -> None:
    where, taken, state = killed
    await town.endpoint()
    number = await enroll(town)
    record = tmp_path / "record"
    record.touch()
    await kill_at(where, database_url, str(number), record)
    await town.age_claims()
    verdict = await town.hands().deliver(order_of(number))
    assert (verdict.status, verdict.sent) == ("settled", True)
    assert town.provider.record == []
    assert len(record.read_text().splitlines()) == taken
    assert await town.states() == [state]


async def deliver_all(town: Town, orders: list[SendOrder]) -> None:
    """What a workflow does: come back until the verdict is final, whatever the database says meanwhile."""
    hands = town.hands()
    waiting = list(orders)
    while waiting:
        waiting = [order for order in waiting if not await is_settled(hands, order)]
        await asyncio.sleep(0.05)


async def is_settled(hands: Messages, order: SendOrder) -> bool:
    try:
        return (await hands.deliver(order)).status == "settled"
    except Unavailable:
        return False


@pytest.fixture
async def durable() -> AsyncIterator[EmbeddedPostgres]:
    """A Postgres of its own, with durability on, that may be killed."""
    with tempfile.TemporaryDirectory(prefix="sojourn-pg-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - Postgres runs under another account
        server = EmbeddedPostgres(Path(folder) / "data", free_port())
        server.start()
        await migrate(server.url)
        yield server
        server.stop("immediate")


async def kill_and_start(server: EmbeddedPostgres) -> None:
    os.kill(server.postmaster_pid(), signal.SIGKILL)
    async with asyncio.timeout(20):
        while await asyncio.to_thread(server.is_running):  # noqa: ASYNC110 - another process's end cannot be awaited
            await asyncio.sleep(0.05)
    await asyncio.to_thread(server.start)


async def test_postgres_killed_again_and_again_while_messages_are_delivered(durable: EmbeddedPostgres) -> None:
    """Each of 60 sends ends once: sent, or unconfirmed and listed."""
    database = Database(durable.url)
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('demo', 'Demo')")
    town = await build(database)
    town.timing = replace(town.timing, claim_s=0.5, send_s=0.4)
    await town.endpoint()
    orders = [order_of(await enroll(town, key=str(number))) for number in range(60)]
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for lane in range(6):
            group.create_task(deliver_all(town, orders[lane::6]))
        for _ in range(4):
            await asyncio.sleep(0.3)
            await kill_and_start(durable)
    await database.close()  # forgets the connections that the last kill cut; the pool makes new ones
    states = {str(row.id): row.state for row in await town.rows()}
    listed = await town.listed()
    await database.close()
    taken = Counter(str(line.message_id) for line in town.provider.record)
    assert len(states) == 60
    assert Counter(states.values()).keys() <= {"sent", "unknown"}
    assert max(taken.values()) == 1
    assert {number for number, state in states.items() if state == "sent"} <= set(taken)
    assert len(listed) == Counter(states.values())["unknown"]
