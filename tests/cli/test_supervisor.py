"""Children of `sojourn dev` live and die with it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.supervisor import Part, Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervisor(said: list[str], clock: Clock) -> Supervisor:
    return Supervisor(said.append, clock=clock)


def ended(part: Part) -> None:
    assert part.child is not None
    part.child.wait(20)


def test_a_part_that_is_killed_is_started_again_with_a_line_that_says_so(supervisor: Supervisor, said: list[str], tmp_path: Path) -> None:
    part = Part("worker", SLEEP, tmp_path / "worker.log")
    supervisor.start(part)
    assert part.child is not None
    part.child.kill()
    ended(part)
    supervisor.look()
    supervisor.look()
    assert part.is_up
    assert said == [f"worker was ended by signal 9: starting it again (its log: {tmp_path / 'worker.log'})"]
    supervisor.stop()


def test_a_part_that_keeps_failing_is_started_after_longer_and_longer_pauses(
    supervisor: Supervisor, said: list[str], clock: Clock, tmp_path: Path
) -> None:
    part = Part("api", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "api.log")
    supervisor.start(part)
    for _ in range(3):
        ended(part)
        supervisor.look()
        clock.now = part.start_at
        supervisor.look()
    assert [line.split(" (")[0] for line in said] == [
        "api ended with code 3: starting it again",
        "api ended with code 3: starting it again in 2 s",
        "api ended with code 3: starting it again in 4 s",
    ]
    supervisor.stop()


def test_parts_are_stopped_in_the_opposite_order_of_their_start(supervisor: Supervisor, tmp_path: Path) -> None:
    order = tmp_path / "order"
    script = f"import signal, sys, time\ndef end(*_): open({str(order)!r}, 'a').write(sys.argv[1]); sys.exit()\nsignal.signal(15, end)\n"
    script += "print('ready', flush=True)\nwhile True: time.sleep(60)"
    for name in "abc":
        supervisor.start(Part(name, [sys.executable, "-c", script, name], tmp_path / name))
        wait_for_text(tmp_path / name, "ready")
    supervisor.stop()
    assert order.read_text() == "cba"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_children_end_when_their_starter_is_killed(tmp_path: Path) -> None:
    script = "import sys, time; from pathlib import Path; from cli.children import start_child\n"
    script += "child = start_child(['sleep', '60'], Path(sys.argv[1])); print(child.pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, tmp_path / "log"], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()
    wait_for_end(pid)


def wait_for_text(file: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in (file.read_text() if file.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and "zombie" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
