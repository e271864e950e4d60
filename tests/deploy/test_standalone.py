"""The processes of production against servers of their own: one event goes in, one mail is kept.

Postgres is an installed one where there is one. Temporal is the stand-alone server on it where its binaries are in the cache folder
(bench/standalone.py says how to make them); else the dev server, started by hand.
"""

import base64
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench import harness
from cli.children import sojourn, start_child, stop_child
from cli.embedded_postgres import free_port

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Installation:
    url: str
    write_key: str
    secret_key: str

    def get(self, path: str) -> Any:
        answer = httpx.get(self.url + path, headers={"Authorization": f"Bearer {self.secret_key}"}, timeout=10)
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """Everything that docker-compose.yml starts, without containers."""
    with harness.folder() as place, harness.postgres(place) as postgres, harness.temporal(place, postgres) as temporal:
        port = free_port()
        environment = {
            "SOJOURN_ENVIRONMENT": "production",
            "SOJOURN_SECRET": secrets.token_hex(32),
            "SOJOURN_SUPPRESSION_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
            "SOJOURN_DATABASE_URL": postgres.url,
            "SOJOURN_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "SOJOURN_URL": f"http://127.0.0.1:{port}",
            "TEMPORAL_ADDRESS": temporal,
        }
        run(environment, "migrate")
        keys = {kind: run(environment, "keys", "create", kind, "--app", "shop", "--new-app").strip() for kind in ("write", "secret")}
        children = [
            start_child(sojourn("api", "--port", str(port)), place / "api.log", environment=environment),
            start_child(sojourn("worker"), place / "worker.log", environment=environment),
        ]
        try:
            wait_for(lambda: is_ready(environment["SOJOURN_URL"]), place / "api.log")
            run({**environment, "SOJOURN_KEY": keys["secret"]}, "apply")
            yield Installation(environment["SOJOURN_URL"], keys["write"], keys["secret"])
        finally:
            for child in reversed(children):
                stop_child(child)
        # uvicorn finishes its requests and then ends by the signal it was told to end by; -9 would be stop_child's patience running out.
        assert [child.returncode for child in children] == [-signal.SIGTERM, 0]


def test_an_event_goes_in_and_a_mail_is_kept(installation: Installation) -> None:
    batch = [
        {"type": "identify", "userId": "ada", "messageId": "m1", "traits": {"email": "ada@example.com"}},
        {"type": "track", "userId": "ada", "messageId": "m2", "event": "signed_up"},
    ]
    answer = httpx.post(f"{installation.url}/v1/batch", auth=(installation.write_key, ""), json={"batch": batch}, timeout=10)
    assert answer.is_success, answer.text
    wait_for(lambda: bool(kept(installation)))
    assert [(message["channel"], message["recipient"]) for message in kept(installation)] == [("email", "ada@example.com")]


def kept(installation: Installation) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = installation.get("/v1/sandbox/messages")["items"]
    return messages


def run(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(sojourn(*arguments), env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2).is_success
    except httpx.HTTPError:
        return False


def wait_for(happens: Callable[[], bool], log: Path | None = None, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < deadline, log.read_text() if log else "it did not happen"
        time.sleep(0.05)
