"""`sojourn worker`: runs the workflows, the relay and the sends."""

from typing import Annotated

import typer
import uvloop

from api.logs import configure_logs
from cli.forks import fork_out
from cli.memory import keep_memory_small, spare_the_collector
from settings import Settings
from workflows.worker import run

Processes = Annotated[int, typer.Option(min=1, max=64, help="How many: one per core. Together they need less memory than each by itself.")]


def worker(processes: Processes = 1) -> None:
    """Work on journeys and messages until told to stop. Run one process per core, as many as you like, on as many machines."""
    configure_logs()
    keep_memory_small()
    spare_the_collector()
    settings = Settings()
    number = fork_out(processes) if processes > 1 else 0
    if settings.worker_metrics_port:
        settings = settings.model_copy(update={"worker_metrics_port": settings.worker_metrics_port + number})
    uvloop.run(run(settings))
