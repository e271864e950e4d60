"""`sojourn api`: serves the HTTP door."""

from typing import Annotated

import typer
import uvicorn

from api.app import create_app
from api.logs import configure_logs
from settings import Settings


def api(
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 in a container")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 8080,
) -> None:
    """Serve the API. Run one process per core, as many as you like: they share nothing but Postgres."""
    configure_logs()
    # With uvicorn's own loop and parser a keep-alive connection is forty times slower (uvicorn issue 3149).
    uvicorn.run(
        create_app(Settings()),
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=20,
    )
