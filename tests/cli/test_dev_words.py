"""What a newcomer reads after `make dev`."""

import json
import shlex
from pathlib import Path

import pytest

from cli.dev_ports import Ports
from cli.dev_words import curl, greeting, how_to_call
from cli.local_keys import LocalKeys

KEYS = LocalKeys(url="http://127.0.0.1:8080", app="demo", write_key="sj_write_a", secret_key="sj_secret_b")


def test_the_curl_identifies_and_signs_up_in_one_batch() -> None:
    words = shlex.split(curl(KEYS))
    batch = json.loads(words[words.index("-d") + 1])["batch"]
    assert [item["type"] for item in batch] == ["identify", "track"]
    assert {"email", "phone"} <= set(batch[0]["traits"])
    assert batch[0]["context"]["consents"] == [{"channel": "sms", "state": "granted"}]


def test_the_greeting_names_every_door_and_key() -> None:
    words = greeting(KEYS, Ports(), fast=False)
    for part in ("/docs", "127.0.0.1:8233", "/sandbox", "sj_write_a", "sj_secret_b", "enrollments advance"):
        assert part in words


def test_with_fast_the_greeting_says_that_a_day_is_ten_seconds() -> None:
    assert "10 seconds" in greeting(KEYS, Ports(), fast=True)


def test_without_sojourn_on_path_its_path_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.prefix", str(tmp_path / ".venv"))
    assert how_to_call() == ".venv/bin/sojourn"
