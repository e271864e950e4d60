"""What holds the house: floors import downwards only, and pure code reads no clock and draws no lots."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# zones.py is where local time becomes UTC; it takes every instant as an argument.
ZONES_ALLOWED_IN = {ROOT / "journeys" / "language" / "zones.py"}
PURE = sorted([*(ROOT / "journeys").rglob("*.py"), ROOT / "workflows" / "journey.py"])
FORBIDDEN_MODULES = {"random", "secrets", "time", "zoneinfo", "uuid"}
# now() and random() of `workflow` and of a World are the replayed ones.
FORBIDDEN_CALLS = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
    ("time", "time"), ("time", "monotonic"), ("uuid", "uuid4"), ("uuid", "uuid1"), ("os", "urandom"),
}  # fmt: skip


def test_floors_import_downwards_only() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_process_that_reads_templates_loads_nothing_of_journeys_but_their_errors() -> None:
    seen = "print(*sorted(name for name in sys.modules if name.startswith('journeys.language.')))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, channels.render_child; {seen}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["journeys.language.errors"], done.stderr


@pytest.mark.parametrize("file", PURE, ids=lambda file: str(file.relative_to(ROOT)))
def test_pure_code_has_no_clock_no_chance_and_no_zones(file: Path) -> None:
    tree = ast.parse(file.read_text())
    used = {*_imported(tree), *_called(tree)}
    if file in ZONES_ALLOWED_IN:
        used.discard("zoneinfo")
    assert used == set()


def _imported(tree: ast.AST) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names} & FORBIDDEN_MODULES


def _called(tree: ast.AST) -> set[str]:
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    pairs = {(node.value.id, node.attr) for node in attributes if isinstance(node.value, ast.Name)}
    return {f"{owner}.{name}" for owner, name in pairs & FORBIDDEN_CALLS}
