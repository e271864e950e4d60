"""What `check` found: a problem with the file and line where it is mended, and how grave it is."""

from dataclasses import dataclass, replace
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
        """The journey that is meant; None when the problem is one of a file, template or segment."""
        return None if self._is_of_file else self.problem.pointer.partition("/")[0]

    @property
    def step(self) -> str | None:
        """The step, or the field of the journey, that is meant."""
        return None if self._is_of_file else self.problem.pointer.partition("/")[2] or None

    @property
    def shown_file(self) -> str:
        """The file as seen from here, which is where an editor or CI looks."""
        here = Path.cwd()
        return str(self.file.relative_to(here)) if self.file.is_relative_to(here) else str(self.file)

    @property
    def placed(self) -> Problem:
        """The problem with its file and line before it."""
        place = f"{self.shown_file}:{self.line}"
        return replace(self.problem, pointer=place if self._is_of_file else f"{place}: {self.problem.pointer}")

    @property
    def _is_of_file(self) -> bool:
        return self.problem.pointer.startswith(("templates/", "segments/")) or self.problem.pointer.endswith((".py", ".toml"))
