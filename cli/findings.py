"""What `check` found: a problem with the file and line where it is mended, and how grave it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from journeys.language.errors import Problem

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One problem in one place. `file` is absolute; `line` counts from 1, and is 1 where it is not known."""

    problem: Problem
    file: Path
    line: int = 1
    severity: Severity = "error"

    @property
    def journey(self) -> str | None:
        """The journey that is meant; None when the problem is one of a file or template."""
        return None if self._is_of_file else self.problem.pointer.partition("/")[0]

    @property
    def step(self) -> str | None:
        """The step, or the field of the journey, that is meant."""
        return None if self._is_of_file else self.problem.pointer.partition("/")[2] or None

    @property
    def _is_of_file(self) -> bool:
        return self.problem.pointer.startswith("templates/") or self.problem.pointer.endswith((".py", ".toml"))
