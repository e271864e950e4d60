"""`sojourn worker`: runs the workflows, the relay and the sends."""

import uvloop

from api.logs import configure_logs
from cli.collector import spare_the_collector
from settings import Settings
from workflows.worker import run


def worker() -> None:
    """Work on journeys and messages until told to stop. Run one process per core, as many as you like."""
    configure_logs()
    spare_the_collector()
    uvloop.run(run(Settings()))
