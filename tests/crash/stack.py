"""Everything that production runs, as processes of this test that can be killed one by one and started again."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson

from bench import harness, standalone
from cli.children import sojourn, start_child, stop_child
from cli.embedded_postgres import BINARIES, EmbeddedPostgres, free_port
from cli.temporal_binary import temporal_binary
from cli.temporal_server import DevServer
from journeys.language.codec import to_json
from journeys.language.journey import Journey

READY_WITHIN_S = 60.0
APP = "demo"
OPTIONS = "-c max_connections=300"


class Starts(Protocol):
    """A Temporal server, whichever this machine has."""

    def start(self) -> subprocess.Popen[bytes]: ...


@dataclass
class Stack:
    """api, worker, Temporal, Postgres and a mail server. Call `start` from the main thread."""

    place: Path
    postgres: EmbeddedPostgres
    temporal: Starts
    environment: dict[str, str]
    port: int
    write_key: str = ""
    secret_key: str = ""
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mails(self) -> Path:
        """The folder of the mail server (tests/crash/recording_smtp.py)."""
        return self.place / "smtp"

    def start(self, name: str) -> None:
        """Start one part; of Temporal and Postgres also wait until they serve."""
        if name == "postgres":
            self.postgres.start(options=OPTIONS)
        elif name == "temporal":
            self.children[name] = self.temporal.start()
        else:
            self.children[name] = start_child(self._command(name), self.place / f"{name}.log", environment=self.environment)

    def kill(self, name: str) -> None:
        """SIGKILL, and wait until it is gone."""
        if name == "postgres":
            os.kill(self.postgres.postmaster_pid(), signal.SIGKILL)
            wait_for(lambda: not self.postgres.is_running())
        else:
            self.children[name].kill()
            self.children[name].wait()

    def stop(self) -> None:
        for child in reversed(self.children.values()):
            stop_child(child)
        self.postgres.stop("immediate")

    def _command(self, name: str) -> Sequence[str]:
        if name == "api":
            return sojourn("api", "--port", str(self.port))
        module = {"worker": "tests.crash.impatient_worker", "smtp": "tests.crash.recording_smtp"}[name]
        return [sys.executable, "-m", module, *([str(self.mails)] if name == "smtp" else [])]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(sojourn(*arguments), env={**os.environ, **self.environment}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def post(self, path: str, body: Any) -> Any:
        answer = httpx.post(self.url + path, json=body, headers={"Authorization": f"Bearer {self.secret_key}"}, timeout=30)
        assert answer.is_success, answer.text
        return answer.json()

    def timeline(self, user: str) -> list[dict[str, Any]]:
        """What the person sees who asks why, the newest first."""
        answer = httpx.get(
            f"{self.url}/v1/users/{user}/timeline",
            headers={"Authorization": f"Bearer {self.secret_key}"},
            params={"limit": 100},
            timeout=30,
        )
        assert answer.is_success, answer.text
        lines: list[dict[str, Any]] = answer.json()["items"]
        return lines

    def publish(self, journeys: Sequence[Journey], templates: dict[str, dict[str, str]]) -> None:
        self.post("/v1/journeys/apply", {"journeys": [orjson.loads(to_json(each)) for each in journeys], "templates": templates})

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def mail_lines(self) -> list[dict[str, str]]:
        """What the mail server wrote down, in order."""
        return [orjson.loads(line) for line in (self.mails / "record").read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


@contextmanager
def running() -> Iterator[Stack]:
    """Start all parts, with keys, in a folder of their own; stop what still runs at the end."""
    with harness.folder() as place:
        stack = _made(place)
        try:
            _start_all(stack)
            yield stack
        finally:
            stack.stop()


def _made(place: Path) -> Stack:
    postgres = EmbeddedPostgres(place / "postgres", free_port(), standalone.installed_postgres() or BINARIES)
    temporal, address = _temporal(place, postgres)
    port = free_port()
    environment = {
        "SOJOURN_ENVIRONMENT": "staging",
        "SOJOURN_SECRET": secrets.token_hex(32),
        "SOJOURN_APP": APP,
        "SOJOURN_DATABASE_URL": postgres.url,
        "SOJOURN_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SOJOURN_EMAIL_PROVIDER": "smtp",
        "SOJOURN_SMTP_TLS": "none",
        "SOJOURN_ALLOWED_RECIPIENTS": "@example.com",
        "TEMPORAL_ADDRESS": address,
    }
    (place / "smtp").mkdir()
    return Stack(place, postgres, temporal, environment, port)


def _temporal(place: Path, postgres: EmbeddedPostgres) -> tuple[Starts, str]:
    if standalone.is_there() and postgres.binaries != BINARIES:
        own = standalone.StandaloneTemporal(postgres, place / "temporal", standalone.free_base(), history_shards=16)
        return own, own.address
    dev = DevServer(temporal_binary(print), free_port(), place / "temporal.log", database=place / "temporal.db")
    return dev, dev.address


def _start_all(stack: Stack) -> None:
    for name in ("postgres", "temporal", "smtp"):
        stack.start(name)
    stack.run("migrate")
    stack.write_key = stack.run("keys", "create", "write", "--new-app")
    stack.secret_key = stack.run("keys", "create", "secret")
    wait_for((stack.mails / "port").exists)
    stack.environment["SOJOURN_SMTP_PORT"] = (stack.mails / "port").read_text()
    for name in ("api", "worker"):
        stack.start(name)
    wait_for(stack.is_ready)
    wait_for(lambda: "worker ready" in (stack.place / "worker.log").read_text())


def wait_for(happens: Callable[[], bool], timeout_s: float = READY_WITHIN_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
