"""A worker that lets people in by schedule, and is killed: `python -m tests.workflows.schedule_victim DATABASE TEMPORAL QUEUE`.

It prints a line when some of the second round are asked and nothing of it is committed, and then waits to be killed.
"""

import asyncio
import sys
from collections.abc import Sequence

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities.schedules import Schedules
from storage import outbox
from storage.database import Connection, Database
from storage.outbox import EntryRequest
from workflows.schedule import ScheduleWorkflow
from workflows.worker import sandbox

_ask_all = outbox.ask_all
_rounds = iter(range(2))


async def _ask_and_hang(connection: Connection, app: str, requests: Sequence[tuple[int, EntryRequest]]) -> None:
    await _ask_all(connection, app, requests)
    if next(_rounds):
        print("here", flush=True)  # noqa: T201 - the test waits for this line
        await asyncio.sleep(3600)


async def main(url: str, temporal: str, queue: str) -> None:
    outbox.ask_all = _ask_and_hang
    client = await Client.connect(temporal, data_converter=pydantic_data_converter)
    hands = Schedules(Database(url)).activities()
    await Worker(client, task_queue=queue, workflows=[ScheduleWorkflow], activities=hands, workflow_runner=sandbox()).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
