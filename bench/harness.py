"""What every benchmark shares: servers with production's durability, and the lines of JSON at the end, one for each goal."""

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from bench import standalone
from cli.children import stop_child
from cli.embedded_postgres import BINARIES, EmbeddedPostgres, free_port
from cli.temporal_binary import temporal_binary
from cli.temporal_server import DevServer
from storage.migrations.runner import migrate


def report(name: str, figure: float, unit: str, *, limit: float, goal: float, at_most: bool = False) -> None:
    """Print a line that a program can read; the last one is of the benchmark's own name.

    `limit` is what the same machine can do at best; `ratio` = figure / limit; met: at least (at most) the goal.
    """
    ratio = figure / limit
    met = ratio <= goal if at_most else ratio >= goal
    line = {"name": name, "figure": round(figure, 3), "unit": unit, "limit": round(limit, 3), "ratio": round(ratio, 3), "goal": goal}
    print(json.dumps({**line, "met": met}), flush=True)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one run, which an account for Postgres may pass through."""
    with tempfile.TemporaryDirectory(prefix="sojourn-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def postgres(place: Path, options: str = "") -> Iterator[EmbeddedPostgres]:
    """A Postgres with its default durability, migrated: an installed one if there is one (Temporal can live on it too)."""
    binaries = standalone.installed_postgres() or BINARIES
    server = EmbeddedPostgres(place / "postgres", free_port(), binaries)
    server.start(options=f"-c max_connections=300 {options}")
    print(f"postgres: {binaries}", flush=True)
    try:
        asyncio.run(migrate(server.url))
        yield server
    finally:
        server.stop("immediate")


class Starts(Protocol):
    """A Temporal server, whichever this machine has."""

    @property
    def address(self) -> str: ...

    def start(self) -> subprocess.Popen[bytes]: ...


@dataclass
class Temporal:
    """A Temporal that runs as a process of its own."""

    server: Starts
    child: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return self.server.address

    def kill(self) -> None:
        """SIGKILL, and start it again on what it had written down; it serves when this returns."""
        self.child.kill()
        self.child.wait()
        self.child = self.server.start()


@contextmanager
def temporal(place: Path, server: EmbeddedPostgres) -> Iterator[str]:
    """The address of a Temporal: the stand-alone server on `server` where its binaries are in the cache, else the dev server."""
    with killable_temporal(place, server) as running:
        yield running.address


@contextmanager
def killable_temporal(place: Path, server: EmbeddedPostgres) -> Iterator[Temporal]:
    """The same, for those who kill it."""
    made = _temporal(place, server)
    running = Temporal(made, made.start())
    try:
        yield running
    finally:
        stop_child(running.child)


def _temporal(place: Path, server: EmbeddedPostgres) -> Starts:
    if standalone.is_there() and server.binaries != BINARIES:
        print("temporal: stand-alone server, 512 shards, on the same Postgres", flush=True)
        return standalone.StandaloneTemporal(server, place / "temporal", standalone.free_base())
    print("temporal: dev server with a database file (not fit for figures to publish)", flush=True)
    return DevServer(temporal_binary(print), free_port(), place / "temporal.log", database=place / "temporal.db")


def until_ready(port: int) -> None:
    """Wait until the api that listens there takes requests. Raises RuntimeError after twenty seconds."""
    for _ in range(200):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=1).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError("the api did not become ready")
