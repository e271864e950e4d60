"""`sojourn worker` whose Temporal library never lets go of it."""

import asyncio
from datetime import timedelta

from temporalio.bridge.worker import Worker as BridgeWorker

from cli.worker import worker
from workflows import worker as production


async def _never(_worker: BridgeWorker) -> None:
    await asyncio.sleep(3600)


if __name__ == "__main__":
    BridgeWorker.finalize_shutdown = _never  # type: ignore[method-assign, assignment]
    production.LONGEST_STOP = timedelta(seconds=2)
    worker()
