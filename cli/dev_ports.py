"""The ports of `sojourn dev`: the usual ones, or others when somebody else has them."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cli.embedded_postgres import EmbeddedPostgres, free_port


@dataclass(frozen=True)
class Ports:
    api: int = 8080
    temporal: int = 7233
    temporal_ui: int = 8233
    postgres: int = 54329


def choose_ports(folder: Path, door: socket.socket, say: Callable[[str], None]) -> Ports:
    """Take the usual ports as far as they are free, and tell which are not. A Postgres left running keeps its own.

    `door` is the api's socket, which listens already.
    """
    usual = Ports()
    left_running = EmbeddedPostgres((folder / "postgres").absolute(), 0)
    ports = Ports(
        api=int(door.getsockname()[1]),
        temporal=free_port(usual.temporal),
        temporal_ui=free_port(usual.temporal_ui),
        postgres=left_running.listening_port() if left_running.is_running() else free_port(usual.postgres),
    )
    for name, port in vars(ports).items():
        if port != getattr(usual, name):
            say(f"port {getattr(usual, name)} is taken: {name.replace('_', ' ')} listens on {port}")
    return ports
