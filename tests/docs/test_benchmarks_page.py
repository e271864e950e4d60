"""The page of benchmarks has each of them, every line that one of them prints, and every setting."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "benchmarks.md").read_text()
SOURCES = {path.stem: path.read_text() for path in sorted((ROOT / "bench").glob("*.py"))}
ROWS = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]


def test_each_benchmark_has_its_rows() -> None:
    there = {name.replace("_", "-") for name, source in SOURCES.items() if re.search(r"^def main\(", source, re.MULTILINE)}
    assert {row[0] for row in ROWS if len(row) == 4} - {"NAME", ""} == there


def test_each_line_that_a_benchmark_prints_has_a_row() -> None:
    printed = {name for source in SOURCES.values() for name in re.findall(r'\b(?:report|draining\.run)\(\s*"([\w-]+)"', source)}
    assert {row[1] for row in ROWS if len(row) == 4} - {"line"} == printed
    assert {"segments-each", "blast-growth", "delivery-smtp"} <= printed


def test_each_setting_of_a_benchmark_is_told() -> None:
    named = {name for source in SOURCES.values() for name in re.findall(r"SOJOURN_BENCH_([A-Z_]+)", source)}
    named |= {name for source in SOURCES.values() for name in re.findall(r'\bsetting\("([A-Z_]+)"', source)}
    assert {each for row in ROWS if len(row) == 3 for each in re.findall(r"SOJOURN_BENCH_([A-Z_]+)", row[0])} == named
