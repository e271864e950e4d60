"""`sojourn dev`: everything that Sojourn needs on one machine, in the foreground, kept between starts under .sojourn/."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from socket import socket
from types import FrameType
from typing import IO, Annotated

import httpx
import typer
from rich.markup import escape

from cli.children import sojourn
from cli.console import notes, out
from cli.dev_house import HouseWatch, publish_first
from cli.dev_ports import Ports, choose_ports
from cli.dev_setup import prepare, wait_for_a_worker
from cli.dev_words import greeting
from cli.embedded_postgres import EmbeddedPostgres, listening_socket
from cli.error_tail import ErrorTail
from cli.local_keys import FOLDER, LocalKeys
from cli.supervisor import Part, Supervisor
from cli.temporal_binary import temporal_binary
from cli.temporal_server import DevServer
from journeys.language.errors import ConfigurationError
from settings import Environment, Settings

_LOOK_EVERY_S = 0.3


def dev(
    fast: Annotated[bool, typer.Option("--fast", help="a day passes in ten seconds")] = False,
) -> None:
    """Start everything here: Postgres, Temporal with its Web UI, api and worker. Ctrl-C stops it; the next start goes on from there."""
    settings = Settings(fast=True) if fast else Settings()
    if settings.environment is Environment.PRODUCTION:
        raise ConfigurationError(
            "`sojourn dev` is for development: in production run `sojourn api` and `sojourn worker` (docs/how-to/production.md)"
        )
    binary = temporal_binary(_say)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    FOLDER.mkdir(exist_ok=True)
    with _alone(FOLDER / "lock") as lock:
        _run(settings, binary, lock)


def _run(settings: Settings, binary: Path, lock: IO[str]) -> None:
    # Held from now on, so that a second Sojourn on this machine cannot take it; while the api starts again, requests wait.
    door = listening_socket(Ports().api)
    ports = choose_ports(FOLDER, door, _say)
    postgres = EmbeddedPostgres((FOLDER / "postgres").absolute(), ports.postgres)
    supervisor = Supervisor(_warn, keep_open=(lock.fileno(),))
    try:
        keys = _start_parts(settings, binary, ports, postgres, supervisor, door=door)
        out.print(greeting(keys, ports, fast=settings.fast, house=settings.house))
        _watch(supervisor, postgres, HouseWatch(keys, settings.house / "journeys"))
    except KeyboardInterrupt:
        notes.print("\nStopping.")
    finally:
        # A second Ctrl-C must not leave half of it running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor.stop()
        postgres.stop()
    notes.print("Stopped. Everything is kept in .sojourn/; the next start goes on from there.")


def _start_parts(
    settings: Settings, binary: Path, ports: Ports, postgres: EmbeddedPostgres, supervisor: Supervisor, *, door: socket
) -> LocalKeys:
    server = DevServer(
        binary, ports.temporal, FOLDER / "temporal.log", ui_port=ports.temporal_ui, database=(FOLDER / "temporal.db").absolute()
    )
    temporal = Part("temporal", server.command(), server.log)
    supervisor.start(temporal)
    postgres.start()
    prepared = asyncio.run(prepare(postgres.url, settings.app, url=f"http://127.0.0.1:{ports.api}", temporal_address=server.address))
    assert temporal.child is not None
    asyncio.run(server.wait_until_healthy(temporal.child))
    environment = {
        "SOJOURN_DATABASE_URL": postgres.url,
        "SOJOURN_PUBLIC_URL": prepared.keys.url,
        "SOJOURN_FAST": str(settings.fast).lower(),
        "TEMPORAL_ADDRESS": server.address,
    }
    api = Part("api", sojourn("api", "--fd", str(door.fileno())), FOLDER / "api.log", environment, keep_open=(door.fileno(),))
    supervisor.start(api)
    supervisor.start(Part("worker", sojourn("worker"), FOLDER / "worker.log", environment))
    _wait_until_ready(api, prepared.keys.url)
    if not prepared.has_journeys:
        asyncio.run(wait_for_a_worker(postgres.url))
        publish_first(prepared.keys, _warn)
    return prepared.keys


def _watch(supervisor: Supervisor, postgres: EmbeddedPostgres, house: HouseWatch) -> None:
    tails = {name: ErrorTail(FOLDER / f"{name}.log") for name in ("api", "worker")}
    while True:
        time.sleep(_LOOK_EVERY_S)
        if not _lives(postgres):
            _warn("postgres ended: starting it again (its log: .sojourn/postgres/server.log)")
            postgres.start()
        supervisor.look()
        for name, tail in tails.items():
            for words in tail.new_errors():
                _warn(f"{name}: {words}")
        if words := house.look():
            _say(words)


def _lives(postgres: EmbeddedPostgres) -> bool:
    try:
        os.kill(postgres.postmaster_pid(), 0)
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True
    return True


def _wait_until_ready(api: Part, url: str, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not _is_ready(url):
        if not api.is_up or time.monotonic() > deadline:
            words = api.log.read_text(errors="replace")[-2000:]
            raise ConfigurationError(f"the api did not start ({api.log}):\n{words}")
        time.sleep(0.05)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=1, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@contextmanager
def _alone(file: Path) -> Iterator[IO[str]]:
    """Hold the folder. The parts inherit the lock, so that it is free only when the last of them has ended too."""
    with file.open("w") as lock:
        deadline = time.monotonic() + 5
        while True:
            try:
                flock(lock, LOCK_EX | LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"another `sojourn dev` runs in {Path.cwd()}: stop it with Ctrl-C in its terminal, or work with it as it is"
                    ) from None
                time.sleep(0.1)
        yield lock


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    notes.print(escape(line))


def _warn(line: str) -> None:
    notes.print(f"[yellow]{escape(line)}[/]")
