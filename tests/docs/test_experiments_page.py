"""The page on experiments: its tables name the figures that are tested."""

import re
from pathlib import Path

from tests.journeys.language.test_peeking import MISLED, NEEDED, REACHED

PAGE = Path("docs/explanation/experiments.md").read_text()


def test_its_tables_name_what_is_tested() -> None:
    lifts = [int(each) for each in re.findall(r"\+(\d+) %", re.search(r"\| converts \|.*\+.*", PAGE)[0])]  # type: ignore[index]
    rows = re.findall(r"^\| (\d+) % \| ([^%\n]*) \|$", PAGE, re.MULTILINE)
    table = {(int(rate), lift): cell for rate, cells in rows for lift, cell in zip(lifts, cells.split(" | "), strict=True)}
    for first, second, in_each in NEEDED:
        assert table[round(100 * first), round(100 * (second / first - 1))] == f"{in_each:,}"
    for first, second, in_each in REACHED:
        assert f"| {100 * first:g} % | {100 * second:g} % | {in_each:,} |" in PAGE
    for of, second_of, rate, percent in MISLED:
        assert f"| {of:,} and {second_of:,} | {100 * rate:g} % | {percent} % |" in PAGE
