"""The line of JSON that every benchmark ends with."""

import json

import pytest

from bench.harness import report


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    line: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return line


def test_a_figure_is_set_beside_what_the_machine_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    report("ingest", 600, "events/s", limit=1000, goal=0.6)
    assert last_line(capsys) == {
        "name": "ingest", "figure": 600, "unit": "events/s", "limit": 1000, "ratio": 0.6, "goal": 0.6, "met": True
    }  # fmt: skip


def test_a_budget_is_met_from_below(capsys: pytest.CaptureFixture[str]) -> None:
    report("history", 34, "events", limit=20, goal=1.0, at_most=True)
    assert last_line(capsys)["met"] is False
