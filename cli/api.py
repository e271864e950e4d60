"""`sojourn api`: serves the HTTP door."""

import socket
from typing import Annotated

import typer

from api.app import create_app
from api.server import server
from cli.logs import configure_logs
from cli.memory import spare_the_collector
from settings import Settings


def api(
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 in a container")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 8080,
    fd: Annotated[int, typer.Option(help="a listening socket to inherit, instead of host and port", hidden=True)] = -1,
    drain_s: Annotated[float, typer.Option(help="seconds between SIGTERM, when /readyz turns 503, and closing the door")] = 0.0,
) -> None:
    """Serve the API. Run one process per core, as many as you like: they share nothing but Postgres."""
    configure_logs()
    inherited = [socket.socket(fileno=fd)] if fd >= 0 else None
    app = create_app(Settings())
    spare_the_collector()
    server(app, host=host, port=port, drain_s=drain_s).run(inherited)
