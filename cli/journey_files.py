"""A house's journeys as Python files, each run by itself: one broken file does not hide the others.

While they are read, the folder is part of the package `journeys`, so that a file may import what its neighbour holds
(`from journeys._parts import goodbye`); afterwards nothing of it stays, so that two houses never share a module.
"""

import ast
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

import journeys
from cli.findings import Finding
from cli.source_lines import Lines
from cli.type_words import type_problems
from journeys import language
from journeys.language.errors import Invalid, Problem
from journeys.language.journey import Journey

CATALOGUE = "catalogue.py"


@dataclass
class Read:
    """The journeys by file name without .py, with the lines of each file, and what is wrong."""

    journeys: dict[str, Journey] = field(default_factory=dict)
    lines: dict[str, Lines] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def read_journeys(room: Path) -> Read:
    """Read every journey of the folder `journeys/`. Files that begin with _ are parts of others, and no journeys."""
    read = Read()
    listed = _listed(room / CATALOGUE, read)
    files = [file for file in sorted(room.glob("*.py")) if file.name != CATALOGUE and not file.name.startswith("_")]
    with neighbours(room):
        for file in files:
            _read(file, read, is_listed=listed is None or file.stem in listed)
    for name in sorted(set(listed or ()) - {file.stem for file in files}):
        words = f"there is no journeys/{name}.py: add the file, or take {name} out of the catalogue"
        read.findings.append(Finding(Problem(CATALOGUE, "no_such_file", words), room / CATALOGUE, (listed or {})[name]))
    return read


@contextmanager
def neighbours(room: Path) -> Iterator[None]:
    """Let modules of this folder be found in the package `journeys` before Sojourn's own, and forget them afterwards."""
    hidden, writes = _forget(), sys.dont_write_bytecode
    # Bytecode is told apart by size and second of the file: an edit within the second would be read from before it.
    sys.dont_write_bytecode = True
    journeys.__path__.insert(0, str(room))
    invalidate_caches()
    try:
        yield
    finally:
        _forget()
        journeys.__path__.remove(str(room))
        sys.dont_write_bytecode = writes
        for name, module in hidden.items():
            sys.modules[name] = module
            setattr(sys.modules[name.rpartition(".")[0]], name.rpartition(".")[2], module)


def _forget() -> dict[str, ModuleType]:
    """Take what was imported from journeys/ out of the running Python, but for the language, and give it back."""
    names = [name for name in sys.modules if name.startswith("journeys.") and not f"{name}.".startswith("journeys.language.")]
    for name in names:
        vars(journeys).pop(name.partition(".")[2], None)
    return {name: sys.modules.pop(name) for name in names}


def _read(file: Path, read: Read, *, is_listed: bool) -> None:
    read.lines[file.stem] = lines = Lines(file)
    try:
        journey = getattr(import_module(f"journeys.{file.stem}"), "journey", None)
    except Invalid as invalid:
        read.findings += [Finding(problem, file, lines.of(problem)) for problem in invalid.problems]
        return
    except ValidationError as error:
        read.findings += [Finding(problem, file, _line(error, file)) for problem in type_problems(file.name, error)]
        return
    except Exception as error:  # noqa: BLE001 - a file of the team's may fail in any way; the others are still read
        read.findings.append(Finding(Problem(file.name, "import_failed", _failure(error, file)), file, _line(error, file)))
        return
    if not isinstance(journey, Journey):
        words = "it has no `journey = Journey(...)`: write one, or let the file's name begin with _ when it only holds parts of others"
        read.findings.append(Finding(Problem(file.name, "no_journey", words), file))
    elif not is_listed:
        words = f"no journey of the house until it is listed: add {file.stem}.journey to journeys/{CATALOGUE}, or move the file away"
        read.findings.append(Finding(Problem(file.name, "not_listed", words), file))
    elif twice := [other for other, known in read.journeys.items() if known.name == journey.name]:
        words = f"journeys/{twice[0]}.py names its journey {journey.name} too: give one of them another name"
        read.findings.append(Finding(Problem(file.name, "name_twice", words), file, lines.of(Problem(journey.name, "name_twice"))))
    else:
        read.journeys[file.stem] = journey


def _failure(error: Exception, file: Path) -> str:
    match error:
        case SyntaxError():
            return f"Python cannot read {'this line' if error.filename == str(file) else error.filename}: {error.msg}"
        case TypeError() if _is_of_the_language(error):
            return str(error)
        case ModuleNotFoundError():
            return f"{error.msg}: mend the name, or install what it belongs to"
        case _:
            return f"importing it fails with {type(error).__name__}: {error}"


def _is_of_the_language(error: Exception) -> bool:
    """Whether the language itself refused something: its words name the remedy."""
    return Path(traceback.extract_tb(error.__traceback__)[-1].filename).is_relative_to(Path(str(language.__file__)).parent)


def _line(error: Exception, file: Path) -> int:
    if isinstance(error, SyntaxError) and error.lineno and error.filename == str(file):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return next((line for line in reversed(lines) if line), 1)


def _listed(catalogue: Path, read: Read) -> Mapping[str, int] | None:
    """The files whose journey the catalogue names, with its lines, read without running it; None: all files count."""
    if not catalogue.exists():
        return None
    try:
        tree = ast.parse(catalogue.read_text())
    except SyntaxError as error:
        words = f"Python cannot read this line: {error.msg}"
        read.findings.append(Finding(Problem(CATALOGUE, "import_failed", words), catalogue, error.lineno or 1))
        return None
    return {
        node.value.id: node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "journey" and isinstance(node.value, ast.Name)
    }
