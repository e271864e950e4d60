"""In which line of a file something stands, found by reading the file and not by running it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from journeys.language.errors import Problem

_LINE = re.compile(r"line (\d+): ")
_ROW = re.compile(r"row (\d+): ")
_FIRST = 1


class Lines:
    """The lines of one Python file with a journey, segment, source or campaign in it. Of what is no Python, only the first is known."""

    def __init__(self, file: Path) -> None:
        try:
            self._tree = ast.parse(file.read_text())
        except (SyntaxError, ValueError, OSError):
            self._tree = ast.Module([], [])

    def of(self, problem: Problem) -> int:
        """The line of the step or field that a problem names, else that of the journey, else the first."""
        _, _, name = problem.pointer.partition("/")
        steps = list(self._calls_with_id(name)) if name else []
        if steps:
            # Of two steps with one id it is the second that is too many.
            return steps[1 if problem.code == "id_not_unique" and len(steps) > 1 else 0]
        return next(self._keywords(name), None) or next(self._journeys(), _FIRST)

    def of_string(self, text: str) -> int:
        """The line where a text stands, or a name or attribute of this name; else the first."""
        found = (node.lineno for node in ast.walk(self._tree) if isinstance(node, ast.expr) and text in _names(node))
        return next(found, _FIRST)

    def _calls_with_id(self, name: str) -> Iterator[int]:
        found = [node for node in ast.walk(self._tree) if isinstance(node, ast.Call) and _is_step(node) and _id(node) == name]
        yield from sorted(node.lineno for node in found)

    def _keywords(self, name: str) -> Iterator[int]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and _called(node) in ("Journey", "Campaign"):
                yield from (keyword.lineno for keyword in node.keywords if keyword.arg == name)

    def _journeys(self) -> Iterator[int]:
        for node in self._tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            if any(isinstance(target, ast.Name) and target.id in ("journey", "segment", "source", "campaign") for target in targets):
                yield node.lineno


def row_line(message: str) -> int:
    """The line of the row that a CSV's problem begins with, where no value before it spans lines; else the first."""
    found = _ROW.match(message)
    return int(found[1]) if found else _FIRST


def of_template(message: str) -> int:
    """The line that a template's problem begins with, else the first."""
    found = _LINE.match(message)
    return int(found[1]) if found else _FIRST


def _is_step(node: ast.Call) -> bool:
    """Steps are classes, and so is Journey; what builds values in them (event, email, captured) begins with a small letter."""
    called = _called(node)
    return called[:1].isupper() and called not in ("Journey", "Segment", "Campaign", "Arm")


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""


def _id(node: ast.Call) -> str | None:
    given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "id")]
    return next((value.value for value in given if isinstance(value, ast.Constant) and isinstance(value.value, str)), None)


def _names(node: ast.expr) -> tuple[object, ...]:
    match node:
        case ast.Constant(value) | ast.Name(value) | ast.Attribute(_, value):
            return (value,)
        case _:
            return ()
