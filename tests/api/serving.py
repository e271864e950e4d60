"""A Sojourn API in a process of its own, for tests that must see it as a client does."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.embedded_postgres import free_port

READY_WITHIN_S = 180


@dataclass(frozen=True)
class Served:
    """Where it listens, and the file with everything that it printed."""

    url: str
    port: int
    log: Path


@contextmanager
def serving(database_url: str, folder: Path) -> Iterator[Served]:
    """Run `sojourn api` on a free port until the block ends; its output goes to a file in `folder`."""
    port, log = free_port(), folder / "api.log"
    command = [str(Path(sys.executable).parent / "sojourn"), "api", "--port", str(port)]
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(database_url, port),
            cwd=Path(__file__).parents[2],
        )
        try:
            served = Served(f"http://127.0.0.1:{port}", port, log)
            _wait(served, child)
            yield served
        finally:
            child.terminate()
            child.wait(timeout=40)


def _environment(database_url: str, port: int) -> dict[str, str]:
    public = f"http://127.0.0.1:{port}"
    return {**os.environ, "SOJOURN_DATABASE_URL": database_url, "SOJOURN_ENVIRONMENT": "development", "SOJOURN_PUBLIC_URL": public}


def _wait(served: Served, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until and child.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{served.url}/readyz", timeout=2).status_code == httpx.codes.OK:
                return
        time.sleep(0.05)
    raise AssertionError(f"the api did not get ready:\n{served.log.read_text()[-3000:]}")
