"""A process that sends a campaign and is killed in the middle: run by test_lanes.py with database, folder of journals, run and record.

It prints a line once some messages have left, and then waits to be killed. What its provider took stands in a file, written through.
"""

import asyncio
import os
import sys
from pathlib import Path

from activities.campaigns.order import RunOrder
from channels.base import Outgoing, Receipt
from storage.database import Database
from tests.activities.campaigns.blast import Blast
from tests.activities.provider import Provider
from tests.activities.town import APP, Town

ENOUGH = 7


class Written(Provider):
    """Takes some messages one after the other, each written down on disk, and then hangs in the middle of the next."""

    turn = asyncio.Lock()
    many = 0

    async def send(self, outgoing: Outgoing) -> Receipt:
        async with Written.turn:
            Written.many += 1
            if Written.many > ENOUGH:
                await asyncio.sleep(0.5)  # until both lanes have as many under way as they may
                print("here", flush=True)  # noqa: T201 - the test waits for this line
                await asyncio.sleep(3600)
            write_down(outgoing.address)
        return Receipt()


def write_down(line: str) -> None:
    with Path(sys.argv[4]).open("a", encoding="utf-8") as record:
        record.write(f"{line}\n")
        record.flush()
        os.fsync(record.fileno())


async def main() -> None:
    town = Town(Database(sys.argv[1]), provider=Written())
    await Blast(town, Path(sys.argv[2]), lanes=2).process().send(RunOrder(APP, sys.argv[3]))


if __name__ == "__main__":
    asyncio.run(main())
