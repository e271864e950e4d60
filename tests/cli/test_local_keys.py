"""The keys of the Sojourn that runs in this folder."""

from pathlib import Path

from cli.local_keys import LocalKeys, keep_keys, read_keys

KEYS = LocalKeys(url="http://127.0.0.1:8080", app="demo", write_key="sj_write_a_b", secret_key="sj_secret_c_d")


def test_keys_come_back_as_they_were_kept(tmp_path: Path) -> None:
    keep_keys(KEYS, tmp_path)
    assert read_keys(tmp_path) == KEYS


def test_where_nothing_ever_ran_there_are_no_keys(tmp_path: Path) -> None:
    assert read_keys(tmp_path) is None


def test_nobody_else_on_the_machine_can_read_them(tmp_path: Path) -> None:
    keep_keys(KEYS, tmp_path)
    assert (tmp_path / "keys.toml").stat().st_mode & 0o077 == 0
