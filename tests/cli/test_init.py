"""A team's own house: written, sound from the first minute, run by `make dev`, and a first mail."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from cli.children import sojourn
from cli.embedded_postgres import EmbeddedPostgres
from cli.local_keys import LocalKeys, read_keys
from tests.cli.conftest import Command

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def house() -> Iterator[Path]:
    """What `sojourn init` writes into an empty folder."""
    with tempfile.TemporaryDirectory(prefix="sojourn-house-") as name:
        subprocess.run(sojourn("init", name), check=True, capture_output=True)
        yield Path(name)


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    refused = subprocess.run(sojourn("init", str(tmp_path)), capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "is not empty (notes.txt): name a new folder, or an empty one. Nothing was written." in " ".join(refused.stderr.split())
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


async def test_a_fresh_repository_counts_as_empty(sojourn: Command, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    told = await sojourn("init", str(tmp_path))
    assert "journeys/welcome.py" in told
    assert "README.md says what lies where" in told


async def test_a_file_is_no_folder(sojourn: Command, tmp_path: Path) -> None:
    (tmp_path / "house").write_text("")
    assert "house is a file: name a folder" in await sojourn("init", str(tmp_path / "house"), code=1)


def test_check_finds_nothing_wrong_and_nothing_doubtful(house: Path) -> None:
    told = orjson.loads(run(house, *sojourn("check", "--format", "json")))
    assert (told["ok"], told["journeys"], told["functions"], told["findings"]) == (True, ["welcome"], ["find_contact"], [])


def test_its_rehearsals_come_out_as_expected(house: Path) -> None:
    assert "2 rehearsals came out as expected." in run(house, *sojourn("rehearse", "--all"))


def test_its_tests_pass(house: Path) -> None:
    assert "4 passed" in run(house, str(PROGRAMS / "pytest"), "-q", "-W", "ignore::pytest.PytestDeprecationWarning")


def test_its_types_are_strict_and_hold(house: Path) -> None:
    assert "Success" in run(house, str(PROGRAMS / "mypy"), MYPYPATH=str(ROOT))


def test_its_style_is_that_of_its_own_settings(house: Path) -> None:
    run(house, str(PROGRAMS / "ruff"), "check", "--no-cache", ".")
    run(house, str(PROGRAMS / "ruff"), "format", "--no-cache", "--check", ".")


def test_it_names_the_version_that_wrote_it() -> None:
    version = next(line for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("version")).split('"')[1]
    assert f"@v{version}\n" in (ROOT / "cli" / "new_house" / "requirements.txt").read_text()
    assert f"FROM sojourn:{version}\n" in (ROOT / "cli" / "new_house" / "Dockerfile").read_text()


def test_an_installed_sojourn_writes_the_same_house_and_reads_it(house: Path, tmp_path: Path) -> None:
    copy, site, written = tmp_path / "copy", tmp_path / "site", tmp_path / "written"
    for name in ("journeys", "storage", "channels", "activities", "workflows", "api", "cli"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "settings.py"):
        shutil.copy(ROOT / name, copy / name)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*install, str(site), str(copy)], check=True, capture_output=True)
    run(tmp_path, *sojourn("init", str(written)), PYTHONPATH=str(site))
    assert files_of(written) == files_of(house)
    assert "1 journey and 3 templates are in order." in run(written, *sojourn("check"), PYTHONPATH=str(site))


@pytest.mark.e2e
def test_make_dev_runs_the_house_its_first_mail_arrives_and_its_function_is_called(house: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with made_dev(house, tmp_path) as terminal:
        assert str(house) in terminal.read_text()
        curl = next(line for line in terminal.read_text().splitlines() if line.startswith("curl"))
        subprocess.run([*shlex.split(curl), "--silent", "--noproxy", "*"], check=True, capture_output=True)
        keys = read_keys(tmp_path / ".sojourn")
        assert keys is not None
        wait_for(lambda: len(kept(keys)) == 1)
        wait_for(lambda: "began" in run(tmp_path, *sojourn("enrollments", "show", "ada")))
        run(tmp_path, *sojourn("enrollments", "advance", "ada"))
        wait_for(lambda: len(kept(keys)) == 2)
        hint, welcome = kept(keys)
    assert (welcome["channel"], welcome["recipient"], welcome["content"]["subject"]) == ("email", "ada@example.com", "Welcome, Ada")
    assert "I help you with the first one.\n\nSam\n" in hint["content"]["text"]


@contextmanager
def made_dev(house: Path, home: Path) -> Iterator[Path]:
    """Run `make dev` of this checkout, with its .sojourn/ in a folder of the test's own; give what it prints."""
    # The environment is this one, whether or not its lock has changed since it was installed.
    command = ["make", "-f", str(ROOT / "Makefile"), f"VENV={PROGRAMS.parent}", "-o", f"{PROGRAMS.parent}/installed", "dev"]
    terminal = home / "terminal"
    with terminal.open("wb") as output:
        environment = {**os.environ, "SOJOURN_HOUSE": str(house)}
        make = subprocess.Popen(command, cwd=home, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_for(lambda: "Sojourn runs." in terminal.read_text() or make.poll() is not None)
            assert make.poll() is None, terminal.read_text()
            yield terminal
        finally:
            os.killpg(make.pid, signal.SIGINT)
            make.wait(60)
            EmbeddedPostgres(home / ".sojourn" / "postgres", 0).stop("immediate")


def files_of(house: Path) -> set[str]:
    names = {str(file.relative_to(house)) for file in house.rglob("*") if file.is_file()}
    return {name for name in names if "_cache" not in name and "__pycache__" not in name}


def kept(keys: LocalKeys) -> list[dict[str, Any]]:
    answer = httpx.get(f"{keys.url}/v1/sandbox/messages", headers={"Authorization": f"Bearer {keys.secret_key}"}, timeout=10)
    messages: list[dict[str, Any]] = answer.json()["items"]
    return messages


def run(house: Path, *command: str, **environment: str) -> str:
    done = subprocess.run(command, cwd=house, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_for(happens: Callable[[], bool], timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.1)
