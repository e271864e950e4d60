"""What processes use, as Linux counts it."""

import os
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def cpu_s(*roots: int) -> float:
    """Seconds of CPU of these processes and all below them, those that have ended included."""
    return sum(_ticks(pid) for root in roots for pid in tree(root)) / _TICKS


def memory_mb(*roots: int) -> float:
    """What these processes and all below them hold; pages that several share are counted once (proportional set size)."""
    return sum(_pss_kb(pid) for root in roots for pid in tree(root)) / 1024


def tree(root: int) -> Iterator[int]:
    yield root
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        for child in _read(task).split():
            yield from tree(int(child))


def _ticks(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(") ")[2].split()
    return sum(map(int, fields[11:15])) if fields else 0


def _pss_kb(pid: int) -> int:
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _read(path: Path) -> str:
    """Empty where the process is gone."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
