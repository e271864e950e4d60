"""`sojourn worker`: runs the workflows, the relay and the sends."""

import asyncio
from typing import Annotated

import typer
import uvloop

from cli.children import die_with_parent, sojourn
from cli.forks import fork_out
from cli.logs import configure_logs
from cli.memory import give_back, keep_arenas_few, spare_the_collector
from settings import Settings
from workflows.worker import run

Processes = Annotated[int, typer.Option(min=1, max=64, help="How many: one per core. Together they need less memory than each by itself.")]
KeptAs = Annotated[int, typer.Option(hidden=True, help="The number of one that takes another's place.")]

_GIVE_BACK_S = 10.0


def worker(processes: Processes = 1, kept_as: KeptAs = -1) -> None:
    """Work on journeys and messages until told to stop. Run one process per core, as many as you like, on as many machines."""
    configure_logs()
    keep_arenas_few()
    spare_the_collector()
    settings = Settings()
    if kept_as >= 0:
        die_with_parent()
    number = fork_out(processes, sojourn("worker", "--kept-as")) if processes > 1 else max(kept_as, 0)
    if settings.worker_metrics_port:
        settings = settings.model_copy(update={"worker_metrics_port": settings.worker_metrics_port + number})
    uvloop.run(_work(settings))


async def _work(settings: Settings) -> None:
    tidying = asyncio.create_task(_tidy())
    try:
        await run(settings)
    finally:
        tidying.cancel()


async def _tidy() -> None:
    while True:
        await asyncio.sleep(_GIVE_BACK_S)
        give_back()
