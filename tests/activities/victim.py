"""A process that delivers one message and is killed on the way: run by test_kills.py with a database, an order, and where to stop.

It prints a line when it is there and then waits to be killed. What its provider took stands in a file, written through.
"""

import asyncio
import os
import sys
from pathlib import Path
from uuid import UUID

from channels.base import Outgoing, Receipt
from storage.database import Database
from tests.activities.provider import Provider
from tests.activities.town import Town, order_of


class Written(Provider):
    """Takes every message, writes it down on disk, and may stop before or after it does."""

    async def send(self, outgoing: Outgoing) -> Receipt:
        if self.script[0] == "before":
            await stop()
        write_down(str(outgoing.message_id))
        if self.script[0] == "after":
            await stop()
        return Receipt()


def write_down(line: str) -> None:
    with Path(sys.argv[4]).open("a", encoding="utf-8") as record:
        record.write(f"{line}\n")
        record.flush()
        os.fsync(record.fileno())


async def stop() -> None:
    print("here", flush=True)  # noqa: T201 - the test waits for this line
    await asyncio.sleep(3600)


async def main() -> None:
    town = Town(Database(sys.argv[1]), provider=Written([sys.argv[3]]))
    await town.hands().deliver(order_of(UUID(sys.argv[2])))
    await stop()


if __name__ == "__main__":
    asyncio.run(main())
