"""The keys of the Sojourn that runs in this folder."""

from dataclasses import replace
from pathlib import Path

import pytest

from cli.local_keys import LocalKeys, keep_keys, read_keys, settings_here

KEYS = LocalKeys(url="http://127.0.0.1:8080", app="demo", write_key="sj_write_a_b", secret_key="sj_secret_c_d")


def test_keys_come_back_as_they_were_kept(tmp_path: Path) -> None:
    keep_keys(KEYS, tmp_path)
    assert read_keys(tmp_path) == KEYS


def test_where_nothing_ever_ran_there_are_no_keys(tmp_path: Path) -> None:
    assert read_keys(tmp_path) is None


def test_nobody_else_on_the_machine_can_read_them(tmp_path: Path) -> None:
    keep_keys(KEYS, tmp_path)
    assert (tmp_path / "keys.toml").stat().st_mode & 0o077 == 0


@pytest.fixture
def _dev_was_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOJOURN_DATABASE_URL", raising=False)
    (tmp_path / ".sojourn").mkdir()
    keep_keys(replace(KEYS, database_url="postgresql+asyncpg://x@127.0.0.1:54330/x"))


@pytest.mark.usefixtures("_dev_was_here")
def test_commands_that_need_the_database_find_the_one_of_this_folder() -> None:
    assert settings_here().database_url == "postgresql+asyncpg://x@127.0.0.1:54330/x"


@pytest.mark.usefixtures("_dev_was_here")
def test_a_database_that_the_environment_names_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOJOURN_DATABASE_URL", "postgresql+asyncpg://y@127.0.0.1/y")
    assert settings_here().database_url == "postgresql+asyncpg://y@127.0.0.1/y"
