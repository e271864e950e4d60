"""Journey files that differ from what is live are told once, and nothing is published by itself."""

import sys
import time
from pathlib import Path

import pytest

from cli.dev_house import HouseWatch, publish_first
from cli.local_keys import LocalKeys
from cli.plan_words import AS_LIVE

KEYS = LocalKeys(url="http://127.0.0.1:8080", app="demo", write_key="w", secret_key="s")
# Stands in for `sojourn plan`: says what the file `says` holds.
PLAN = "import os, pathlib; print(pathlib.Path('says').read_text()); open('runs', 'a').write(os.environ['SOJOURN_KEY'])"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "journeys").mkdir()
    (tmp_path / "journeys" / "onboarding.py").write_text("one")
    (tmp_path / "says").write_text(AS_LIVE)
    return tmp_path


@pytest.fixture
def watch(house: Path, clock: Clock) -> HouseWatch:
    return HouseWatch(KEYS, house / "journeys", command=[sys.executable, "-c", PLAN], clock=clock)


def settled(watch: HouseWatch, clock: Clock) -> str:
    """Let the watch look until a plan that it started has answered."""
    clock.now += 10
    told = watch.look()
    deadline = time.monotonic() + 20
    while watch.is_planning and time.monotonic() < deadline:
        told += watch.look()
        time.sleep(0.01)
    return told


def test_a_file_that_differs_is_told_once(watch: HouseWatch, clock: Clock, house: Path) -> None:
    assert settled(watch, clock) == ""
    (house / "journeys" / "onboarding.py").write_text("other")
    (house / "says").write_text("onboarding: changed")
    assert [settled(watch, clock), settled(watch, clock)] == ["onboarding: changed", ""]


def test_the_next_edit_is_told_though_its_words_are_the_same(watch: HouseWatch, clock: Clock, house: Path) -> None:
    (house / "says").write_text("onboarding: changed")
    assert settled(watch, clock) == "onboarding: changed"
    (house / "journeys" / "onboarding.py").write_text("published, and edited again")
    assert settled(watch, clock) == "onboarding: changed"


def test_a_template_counts_as_part_of_the_house(watch: HouseWatch, clock: Clock, house: Path) -> None:
    settled(watch, clock)
    (house / "journeys" / "subject.txt").write_text("Hello")
    (house / "says").write_text("welcome: changed")
    assert settled(watch, clock) == "welcome: changed"


def test_a_file_that_is_again_as_live_is_told_too(watch: HouseWatch, clock: Clock, house: Path) -> None:
    (house / "says").write_text("onboarding: changed")
    settled(watch, clock)
    (house / "journeys" / "onboarding.py").write_text("back to what it was")
    (house / "says").write_text(AS_LIVE)
    assert settled(watch, clock) == AS_LIVE


def test_where_nothing_changed_nothing_is_run(watch: HouseWatch, clock: Clock, house: Path) -> None:
    for _ in range(3):
        settled(watch, clock)
    assert (house / "runs").read_text() == "s"


def test_a_house_that_cannot_be_published_is_told_and_stops_nothing(house: Path) -> None:
    said: list[str] = []
    publish_first(KEYS, said.append, command=[sys.executable, "-c", "raise SystemExit('two steps have one id')"])
    assert "two steps have one id" in said[0]
    assert "make apply" in said[0]
