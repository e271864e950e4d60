"""What benchmarks judge besides their own figure: each of their goals has a line, and can be missed."""

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bench import blast, blast_kill, segments
from bench.blast import Blasts, Growth
from bench.segments import Took

GOOD = Blasts(ours=[80, 90, 100], bare=[110, 100, 120], memory_mb=249, p99_s=0.9)
GREW = [Growth(10_000, 500, 200), Growth(100_000, 800, 240), Growth(1_000_000, 549, 219)]


def lines(capsys: pytest.CaptureFixture[str]) -> Mapping[str, Mapping[str, Any]]:
    """By their names, in the order in which they were printed."""
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return {line["name"]: line for line in written}


def test_a_segment_is_judged_by_itself_and_not_only_the_median(capsys: pytest.CaptureFixture[str]) -> None:
    segments.judge([Took("one", 1.0, 1.0, 0), Took("two", 1.05, 1.0, 0), Took("near", 1.93, 1.0, 0)])
    told = lines(capsys)
    assert {name: line["met"] for name, line in told.items()} == {"segments-unwarned": True, "segments-each": False, "segments": True}
    assert (told["segments-each"]["figure"], told["segments-each"]["goal"]) == (1.93, 1.1)
    assert told["segments-each"]["unit"].endswith("near")
    assert list(told)[-1] == "segments", "the last line is the benchmark's own"


@pytest.mark.parametrize(("took_s", "warnings", "is_met"), [(10.1, 0, False), (10.1, 1, True), (9.9, 0, True)])
def test_a_segment_that_is_slow_without_a_warning_misses_a_goal(
    capsys: pytest.CaptureFixture[str], took_s: float, warnings: int, is_met: bool
) -> None:
    segments.judge([Took("slow", took_s, took_s, warnings)])
    assert lines(capsys)["segments-unwarned"]["met"] is is_met


def test_a_blast_that_keeps_all_that_is_asked_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    blast.judge(GOOD, (1000, 1100), GREW)
    told = lines(capsys)
    assert list(told) == ["blast-two-workers", "blast-growth", "blast-memory-growth", "blast-memory", "blast-transactional", "blast"]
    assert {name: (line["ratio"], line["goal"]) for name, line in told.items()} == {
        "blast-two-workers": (1.1, 1.0),
        "blast-growth": (1.098, 1.1),
        "blast-memory-growth": (1.095, 1.1),
        "blast-memory": (0.996, 1.0),
        "blast-transactional": (0.9, 1.0),
        "blast": (0.818, 0.7),
    }
    assert all(line["met"] for line in told.values())


@pytest.mark.parametrize(
    ("missed", "found", "two", "grown"),
    [
        ("blast", replace(GOOD, ours=[60]), (1, 1), GREW),
        ("blast-memory", replace(GOOD, memory_mb=251), (1, 1), GREW),
        ("blast-memory", GOOD, (1, 1), [Growth(1, 1, 240), Growth(100, 1, 251)]),  # what a million recipients take counts too
        ("blast-transactional", replace(GOOD, p99_s=1.1), (1, 1), GREW),
        ("blast-two-workers", GOOD, (2, 1.9), GREW),
        ("blast-growth", GOOD, (1, 1), [Growth(1, 500, 100), Growth(100, 551, 100)]),
        ("blast-memory-growth", GOOD, (1, 1), [Growth(1, 500, 100), Growth(100, 500, 111)]),
    ],
)
def test_each_goal_of_a_blast_can_be_missed(
    capsys: pytest.CaptureFixture[str], missed: str, found: Blasts, two: tuple[float, float], grown: list[Growth]
) -> None:
    blast.judge(found, two, grown)
    assert [name for name, line in lines(capsys).items() if not line["met"]] == [missed]


def test_what_was_not_measured_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    blast.judge(GOOD, None, [])
    written = capsys.readouterr().out.splitlines()
    assert [line for line in written if not line.startswith("{")] == [
        "one worker process beside two: not measured",
        "what grows with the recipients: not measured",
    ]


def test_each_kind_of_process_is_killed() -> None:
    victims = [blast_kill.drawn(random.Random(seed), 10) for seed in range(5)]
    assert {frozenset(Counter(each).items()) for each in victims} == {frozenset({("worker", 6), ("postgres", 2), ("temporal", 2)})}
    assert len(set(map(tuple, victims))) > 1, "in an order that is drawn"


@pytest.mark.parametrize(
    ("unknown", "listed", "killed", "wrong"),
    [
        (15, 15, 3, 0),  # one a lane and kill
        (16, 16, 3, 1),
        (15, 14, 3, 1),  # one that nobody is told of
        (0, 0, 0, 0),
    ],
)
def test_no_more_than_one_message_a_lane_and_kill_may_be_unconfirmed(unknown: int, listed: int, killed: int, wrong: int) -> None:
    assert blast_kill.LANES == 5
    assert blast_kill.unconfirmed_beyond(unknown, listed, killed) == wrong
