"""Processes of one command: replaced when killed, ended together, and none outlives who started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_FORKS = """
import os, signal, sys, time
from pathlib import Path
from cli.children import die_with_parent
from cli.forks import fork_out
folder = Path(sys.argv[1])
if len(sys.argv) > 2:
    die_with_parent()
    number = int(sys.argv[2])
else:
    number = fork_out(2, [sys.executable, __file__, str(folder)])
def end(*_):
    (folder / f"ended-{number}").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
(folder / f"pid-{number}.tmp").write_text(str(os.getpid()))
(folder / f"pid-{number}.tmp").rename(folder / f"pid-{number}")
while not (folder / f"fail-{number}").exists():
    time.sleep(0.02)
sys.exit(3)
"""


@contextmanager
def forked(folder: Path) -> Iterator[subprocess.Popen[str]]:
    script = folder / "forks.py"
    script.write_text(_FORKS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, script, folder], stderr=subprocess.PIPE, text=True, env=environment) as starter:
        try:
            until(lambda: all(pid_of(folder, number) for number in range(2)))
            yield starter
        finally:
            starter.kill()


def pid_of(folder: Path, number: int) -> int:
    file = folder / f"pid-{number}"
    return int(file.read_text()) if file.exists() else 0


def is_there(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    if sys.platform == "linux":
        return status.exists() and ") Z " not in status.read_text()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_each_process_has_a_number_of_its_own(tmp_path: Path) -> None:
    with forked(tmp_path) as starter:
        pids = {pid_of(tmp_path, 0), pid_of(tmp_path, 1), starter.pid}
        assert len(pids) == 3


def test_one_that_is_killed_is_replaced_with_a_line_that_says_so(tmp_path: Path) -> None:
    with forked(tmp_path) as starter:
        killed, other = pid_of(tmp_path, 1), pid_of(tmp_path, 0)
        os.kill(killed, signal.SIGKILL)
        until(lambda: pid_of(tmp_path, 1) != killed)
        assert pid_of(tmp_path, 0) == other
        starter.terminate()
        _, said = starter.communicate(timeout=20)
    assert said == "process 1 was ended by signal 9: starting it again\n"


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_all_end_when_the_starter_is_told_to(tmp_path: Path, told: signal.Signals) -> None:
    with forked(tmp_path) as starter:
        starter.send_signal(told)
        assert starter.wait(20) == 0
    assert {file.name for file in tmp_path.glob("ended-*")} == {"ended-0", "ended-1"}


def test_one_that_fails_ends_all_with_its_code(tmp_path: Path) -> None:
    with forked(tmp_path) as starter:
        (tmp_path / "fail-0").touch()
        assert starter.wait(20) == 3
    assert {file.name for file in tmp_path.glob("ended-*")} == {"ended-1"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_none_outlives_a_starter_that_is_killed(tmp_path: Path) -> None:
    with forked(tmp_path) as starter:
        pids = [pid_of(tmp_path, number) for number in range(2)]
        starter.kill()
        until(lambda: not any(map(is_there, pids)))
