"""A house's journeys, segments, sources and campaigns as Python files, each run by itself: one broken file does not hide the others.

While they are read, the folder is part of the package `journeys`, so that a file may import what its neighbour holds
(`from journeys._parts import goodbye`); afterwards nothing of it stays, so that two houses never share a module.
"""

import ast
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

import journeys
from cli.findings import Finding
from cli.source_lines import Lines
from cli.type_words import type_problems
from journeys import language
from journeys.language.campaigns import Campaign
from journeys.language.errors import Invalid, Problem
from journeys.language.journey import Journey
from journeys.language.segments import Segment
from journeys.language.sources import Source

CATALOGUE = "catalogue.py"


@dataclass(frozen=True)
class Sort:
    """What the files of one folder hold: each one name, with a value of one class."""

    name: str
    of: type[Journey] | type[Segment] | type[Source] | type[Campaign]
    package: str

    @property
    def folder(self) -> str:
        """From journeys/ on, with a slash at its end."""
        return "".join(f"{part}/" for part in self.package.split(".")[1:])


JOURNEY = Sort("journey", Journey, "journeys")
SEGMENT = Sort("segment", Segment, "journeys.segments")
SOURCE = Sort("source", Source, "journeys.sources")
CAMPAIGN = Sort("campaign", Campaign, "journeys.campaigns")


@dataclass
class Read:
    """The journeys, segments, sources and campaigns by file name without .py, with the lines of each file, and what is wrong.

    `lines` of what is no journey stand under its folder, as segments/<file name without .py>.
    """

    journeys: dict[str, Journey] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    lines: dict[str, Lines] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def found(self, sort: Sort) -> dict[str, Any]:
        by_sort: dict[Sort, dict[str, Any]] = {
            JOURNEY: self.journeys,
            SEGMENT: self.segments,
            SOURCE: self.sources,
            CAMPAIGN: self.campaigns,
        }
        return by_sort[sort]


def read_journeys(room: Path) -> Read:
    """Read every journey of the folder `journeys/`, and every segment, source and campaign of the folders in it.

    Files that begin with _ are parts of others, and none of these.
    """
    read = Read()
    catalogue = _catalogue(room / CATALOGUE, read)
    with neighbours(room):
        for sort in (JOURNEY, SEGMENT, SOURCE, CAMPAIGN):
            _read_folder(room, sort, catalogue, read)
    return read


def _read_folder(room: Path, sort: Sort, catalogue: ast.Module | None, read: Read) -> None:
    listed = None if catalogue is None else _listed(catalogue, sort)
    files = [file for file in sorted((room / sort.folder).glob("*.py")) if file.name != CATALOGUE and not file.name.startswith("_")]
    for file in files:
        _read(file, sort, read, is_listed=listed is None or file.stem in listed)
    for name in sorted(set(listed or ()) - {file.stem for file in files}):
        words = f"there is no journeys/{sort.folder}{name}.py: add the file, or take {name} out of the catalogue"
        read.findings.append(Finding(Problem(CATALOGUE, "no_such_file", words), room / CATALOGUE, (listed or {})[name]))


@contextmanager
def neighbours(room: Path) -> Iterator[None]:
    """Let modules of this folder be found in the package `journeys` before Sojourn's own, and forget them afterwards."""
    hidden, writes = _forget(), sys.dont_write_bytecode
    # Bytecode is told apart by size and second of the file: an edit within the second would be read from before it.
    sys.dont_write_bytecode = True
    journeys.__path__.insert(0, str(room))
    invalidate_caches()
    try:
        for sort in (SEGMENT, SOURCE, CAMPAIGN):
            import_module(sort.package).__path__.insert(0, str(room / sort.folder))
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


def _read(file: Path, sort: Sort, read: Read, *, is_listed: bool) -> None:
    read.lines[f"{sort.folder}{file.stem}"] = lines = Lines(file)
    pointer = f"{sort.folder}{file.name}"
    try:
        found = getattr(import_module(f"{sort.package}.{file.stem}"), sort.name, None)
    except Invalid as invalid:
        read.findings += [Finding(_of(sort, file, problem), file, lines.of(problem)) for problem in invalid.problems]
        return
    except ValidationError as error:
        read.findings += [Finding(problem, file, _line(error, file)) for problem in type_problems(pointer, error)]
        return
    except Exception as error:  # noqa: BLE001 - a file of the team's may fail in any way; the others are still read
        read.findings.append(Finding(Problem(pointer, "import_failed", _failure(error, file)), file, _line(error, file)))
        return
    if not isinstance(found, sort.of):
        written = f"`{sort.name} = {sort.of.__name__}(...)`"
        words = f"it has no {written}: write one, or let the file's name begin with _ when it only holds parts of others"
        read.findings.append(Finding(Problem(pointer, f"no_{sort.name}", words), file))
    elif not is_listed:
        words = (
            f"no {sort.name} of the house until it is listed: add {file.stem}.{sort.name} to journeys/{CATALOGUE}, or move the file away"
        )
        read.findings.append(Finding(Problem(pointer, "not_listed", words), file))
    elif twice := [other for other, known in read.found(sort).items() if known.name == found.name]:
        words = f"journeys/{sort.folder}{twice[0]}.py names its {sort.name} {found.name} too: give one of them another name"
        read.findings.append(Finding(Problem(pointer, "name_twice", words), file, lines.of(Problem(found.name, "name_twice"))))
    else:
        read.found(sort)[file.stem] = found


def _of(sort: Sort, file: Path, problem: Problem) -> Problem:
    """A problem of what is no journey is one of its file: it has no steps in which it could be."""
    return problem if sort is JOURNEY else replace(problem, pointer=f"{sort.folder}{file.name}")


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


def _catalogue(file: Path, read: Read) -> ast.Module | None:
    """The catalogue, read without running it; None where there is none that could be read: then all files count."""
    if not file.exists():
        return None
    try:
        return ast.parse(file.read_text())
    except SyntaxError as error:
        words = f"Python cannot read this line: {error.msg}"
        read.findings.append(Finding(Problem(CATALOGUE, "import_failed", words), file, error.lineno or 1))
        return None


def _listed(catalogue: ast.Module, sort: Sort) -> Mapping[str, int]:
    """The files whose journey, segment, source or campaign the catalogue names, with its lines."""
    return {
        node.value.id: node.lineno
        for node in ast.walk(catalogue)
        if isinstance(node, ast.Attribute) and node.attr == sort.name and isinstance(node.value, ast.Name)
    }
