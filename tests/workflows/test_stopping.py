"""A worker that is told to stop ends, whatever hangs in it."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.children import start_child, stop_child


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


def until(holds: Callable[[], object], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def started(module: str, database_url: str, temporal: str, log: Path) -> subprocess.Popen[bytes]:
    environment = {"SOJOURN_DATABASE_URL": database_url, "TEMPORAL_ADDRESS": temporal}
    command = [sys.executable, "-m", module, *(["worker"] if module == "cli.sojourn" else [])]
    child = start_child(command, log, environment=environment)
    until(lambda: "worker ready" in log.read_text() or child.poll() is not None)
    assert child.poll() is None, log.read_text()
    return child


@pytest.mark.parametrize(("module", "code"), [("cli.sojourn", 0), ("tests.workflows.stuck_worker", 1)])
def test_it_ends_though_temporals_library_does_not_let_go(module: str, code: int, database_url: str, temporal: str, log: Path) -> None:
    child = started(module, database_url, temporal, log)
    try:
        child.terminate()
        assert child.wait(20) == code
        assert ("worker ends without waiting longer" in log.read_text()) == bool(code)
    finally:
        stop_child(child)
