"""What of a part's log reaches the terminal of `sojourn dev`."""

from pathlib import Path

import pytest

from cli.error_tail import MOST_LINES, ErrorTail


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


def write(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_errors_are_shown_and_ordinary_lines_are_not(log: Path) -> None:
    tail = ErrorTail(log)
    write(log, '{"level": "info", "event": "request"}\n{"level": "error", "event": "unexpected", "error": "KeyError", "timestamp": "t"}\n')
    assert tail.new_errors() == ["unexpected error=KeyError"]


def test_a_line_that_is_no_json_is_shown(log: Path) -> None:
    tail = ErrorTail(log)
    write(log, "Traceback (most recent call last):\n")
    assert tail.new_errors() == ["Traceback (most recent call last):"]


def test_each_error_is_shown_once_and_what_an_earlier_run_wrote_never(log: Path) -> None:
    write(log, "old\n")
    tail = ErrorTail(log)
    write(log, "new\n")
    assert [tail.new_errors(), tail.new_errors()] == [["new"], []]


def test_half_a_line_waits_for_its_other_half(log: Path) -> None:
    tail = ErrorTail(log)
    write(log, '{"level": "error", ')
    assert tail.new_errors() == []
    write(log, '"event": "unexpected"}\n')
    assert tail.new_errors() == ["unexpected"]


def test_a_flood_is_cut_short_with_the_place_of_the_rest(log: Path) -> None:
    tail = ErrorTail(log)
    write(log, "x\n" * (MOST_LINES + 5))
    assert tail.new_errors()[-1] == f"... and 5 more lines in {log}"
