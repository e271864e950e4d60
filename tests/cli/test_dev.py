"""`sojourn dev` as a developer meets it: it starts, goes on where it was, mends itself, and leaves nothing behind."""

import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cli.children import sojourn
from cli.embedded_postgres import EmbeddedPostgres
from cli.local_keys import LocalKeys, read_keys

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder with a house in it, where several starts follow one another."""
    with tempfile.TemporaryDirectory(prefix="sojourn-dev-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "journeys").symlink_to(ROOT / "journeys")
        yield folder
        EmbeddedPostgres(folder / ".sojourn" / "postgres", 0).stop("immediate")


@contextmanager
def running(home: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start `sojourn dev` and wait for its greeting."""
    terminal = home / "terminal"
    with terminal.open("wb") as output:
        dev = subprocess.Popen(sojourn("dev", *arguments), cwd=home, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_for(lambda: "Sojourn runs." in terminal.read_text() or dev.poll() is not None)
            assert dev.poll() is None, terminal.read_text()
            yield dev
        finally:
            dev.send_signal(signal.SIGINT)
            dev.wait(60)


def test_what_it_prints_works_and_ctrl_c_stops_all_of_it(home: Path) -> None:
    with running(home) as dev:
        children = children_of(dev.pid)
        curl = next(line for line in said(home).splitlines() if line.startswith("curl"))
        answer = subprocess.run([*shlex.split(curl), "--silent", "--noproxy", "*"], capture_output=True, text=True, check=True)
        assert '"success":true' in answer.stdout
    assert dev.returncode == 0
    assert not [pid for pid in children if is_alive(pid)]
    assert not EmbeddedPostgres(home / ".sojourn" / "postgres", 0).is_running()


def test_a_second_start_has_the_same_keys_and_people(home: Path) -> None:
    with running(home):
        before = keys(home)
        httpx.post(f"{before.url}/v1/identify", auth=(before.write_key, ""), json={"userId": "grace", "traits": {}}).raise_for_status()
    with running(home):
        after = keys(home)
        person = httpx.get(f"{after.url}/v1/users/grace", headers={"Authorization": f"Bearer {before.secret_key}"})
    assert (after.write_key, after.secret_key) == (before.write_key, before.secret_key)
    assert person.json()["user_id"] == "grace"


def test_a_part_that_is_killed_comes_back_and_postgres_too(home: Path) -> None:
    with running(home) as dev:
        for pid in children_of(dev.pid):
            os.kill(pid, signal.SIGKILL)
        os.kill(EmbeddedPostgres(home / ".sojourn" / "postgres", 0).postmaster_pid(), signal.SIGKILL)
        wait_for(lambda: len(children_of(dev.pid)) == 3 and is_ready(keys(home).url))
        told = said(home)
    for part in ("temporal", "api", "worker", "postgres"):
        assert f"{part} was ended by signal 9" in told or f"{part} ended" in told


def test_after_a_sigkill_nothing_is_left_but_postgres_and_the_next_start_works(home: Path) -> None:
    with running(home) as dev:
        children = children_of(dev.pid)
        dev.kill()
        wait_for(lambda: not any(is_alive(pid) for pid in children))
    with running(home):
        assert is_ready(keys(home).url)


def test_two_at_once_in_one_folder_are_refused_with_the_reason(home: Path) -> None:
    with running(home):
        second = subprocess.run(sojourn("dev"), cwd=home, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "another `sojourn dev` runs" in second.stderr


@pytest.mark.parametrize("arguments", [[], ["--fast"]])
def test_production_refuses_it(home: Path, arguments: list[str]) -> None:
    environment = {
        **os.environ,
        "SOJOURN_ENVIRONMENT": "production",
        "SOJOURN_SECRET": "x" * 32,
        "SOJOURN_SUPPRESSION_KEYS": "b" * 43 + "=",
    }
    refused = subprocess.run(sojourn("dev", *arguments), cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "production" in refused.stderr


def keys(home: Path) -> LocalKeys:
    found = read_keys(home / ".sojourn")
    assert found is not None
    return found


def said(home: Path) -> str:
    return (home / "terminal").read_text()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "zombie" not in status.read_text()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=1).is_success
    except httpx.HTTPError:
        return False


def wait_for(happens: Callable[[], bool], timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.1)
