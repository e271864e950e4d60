"""Where the Temporal binary comes from, with fake binaries and a fake Go."""

import threading
from pathlib import Path

import pytest

from cli import temporal_binary as finder
from cli.temporal_binary import cached_binary, server_version, temporal_binary
from journeys.language.errors import ConfigurationError


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def temporal(path: Path, server: str = "1.32.0") -> Path:
    return program(path, f"echo 'temporal version 0.0.0-DEV (Server {server}, UI 2.54.1)'")


FAKE_GO = """
echo 'go: downloading go.temporal.io/server' >&2
while [ "$1" != -o ]; do shift; done
echo "CGO_ENABLED=$CGO_ENABLED" >> "$FAKE_GO_LOG"
printf '#!/bin/sh\\necho "temporal version 0.0.0-DEV (Server 1.32.0, UI 2.54.1)"\\n' > "$2"
/bin/chmod 755 "$2"
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache, an empty PATH and no way to the download host."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("FAKE_GO_LOG", str(tmp_path / "go.log"))
    monkeypatch.delenv("TEMPORAL_CLI_PATH", raising=False)
    monkeypatch.setattr(finder, "DOWNLOAD_HOST", "http://127.0.0.1:1")
    monkeypatch.setattr(finder, "GO_ELSEWHERE", "/nowhere/go")
    return tmp_path


def test_the_binary_that_the_variable_names_is_taken(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = temporal(machine / "own" / "temporal")
    temporal(machine / "bin" / "temporal")
    monkeypatch.setenv("TEMPORAL_CLI_PATH", str(named))
    assert temporal_binary(print) == named


@pytest.mark.parametrize("script", ["echo 'temporal version 1.0 (Server 1.31.2, UI 2.50.1)'", "echo hello", "exit 1"])
def test_a_named_binary_that_cannot_be_used_is_refused_and_not_passed_over(
    machine: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setenv("TEMPORAL_CLI_PATH", str(program(machine / "own", script)))
    temporal(machine / "bin" / "temporal")
    with pytest.raises(ConfigurationError, match="TEMPORAL_CLI_PATH"):
        temporal_binary(print)


def test_a_temporal_on_path_is_taken_before_the_cache(machine: Path) -> None:
    temporal(cached_binary())
    on_path = temporal(machine / "bin" / "temporal", "1.33.0")
    assert temporal_binary(print) == on_path


def test_a_temporal_on_path_that_is_too_old_is_passed_over_with_a_word(machine: Path) -> None:
    temporal(machine / "bin" / "temporal", "1.31.2")
    cached = temporal(cached_binary())
    said: list[str] = []
    assert temporal_binary(said.append) == cached
    assert "1.31.2" in said[0]


def test_the_cache_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    assert cached_binary() == Path("/home/ada/.cache/sojourn/temporal-1.32.0/temporal")


def test_where_nothing_can_be_downloaded_go_builds_it_once(machine: Path) -> None:
    program(machine / "bin" / "go", FAKE_GO)
    assert temporal_binary(print) == temporal_binary(print) == cached_binary()
    assert server_version(cached_binary()) == (1, 32, 0)
    assert (machine / "go.log").read_text().splitlines() == ["CGO_ENABLED=0"]


def test_two_commands_at_once_build_it_once(machine: Path) -> None:
    program(machine / "bin" / "go", FAKE_GO)
    commands = [threading.Thread(target=temporal_binary, args=(print,)) for _ in range(4)]
    for command in commands:
        command.start()
    for command in commands:
        command.join()
    assert len((machine / "go.log").read_text().splitlines()) == 1


def test_a_build_that_fails_leaves_nothing_in_the_cache_and_shows_gos_words(machine: Path) -> None:
    program(machine / "bin" / "go", "echo 'disk is full' >&2; exit 1")
    with pytest.raises(ConfigurationError, match="disk is full"):
        temporal_binary(print)
    assert not cached_binary().exists()


def test_without_binary_download_and_go_the_remedy_is_told(machine: Path) -> None:
    with pytest.raises(ConfigurationError, match="TEMPORAL_CLI_PATH") as raised:
        temporal_binary(print)
    assert "install Go" in str(raised.value)


def test_the_build_does_not_change_the_module_in_the_checkout(machine: Path) -> None:
    program(machine / "bin" / "go", "echo changed > go.mod; exit 1")
    before = (finder.MODULE / "go.mod").read_text()
    with pytest.raises(ConfigurationError):
        temporal_binary(print)
    assert (finder.MODULE / "go.mod").read_text() == before
