"""The team's journeys and templates as they stand in files, each read by itself: one broken file does not hide the others."""

import ast
import hashlib
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import orjson

from api.completeness import missing_content
from channels import templates
from journeys.language.check import not_run_yet, warnings
from journeys.language.codec import to_json
from journeys.language.errors import Invalid, NotFound, Problem
from journeys.language.journey import Journey

CATALOGUE = "catalogue.py"
_NOT_JOURNEYS = {"__init__.py", CATALOGUE}


@dataclass(frozen=True)
class House:
    """What was found: journeys by file name without .py, templates by name, everything that is wrong, and what is rarely meant."""

    journeys: Mapping[str, Journey]
    templates: Mapping[str, Mapping[str, str]]
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def journey(self, name: str) -> Journey:
        """A journey by its name or its file's. Raises NotFound; Invalid when it is there and broken."""
        for file, journey in self.journeys.items():
            if name in (file, journey.name):
                return journey
        if broken := [problem for problem in self.problems if problem.pointer.split("/")[0] in (name, f"{name}.py")]:
            raise Invalid(broken)
        raise NotFound(f"there is no journey {name}; there are {', '.join(sorted(j.name for j in self.journeys.values())) or 'none'}")

    def publication(self) -> dict[str, object]:
        """The body of plan and apply. Raises Invalid with everything that is wrong."""
        if self.problems:
            raise Invalid(self.problems)
        definitions = [orjson.loads(to_json(journey)) for journey in self.journeys.values()]
        return {"journeys": definitions, "templates": {name: dict(files) for name, files in self.templates.items()}}


def load(folder: Path) -> House:
    """Read `<folder>/journeys`: the journeys that catalogue.py names, and the templates beside them."""
    room = folder.resolve() / "journeys"
    if not room.is_dir():
        raise NotFound(f"there is no folder {room}: run this where your journeys are, or name it in SOJOURN_HOUSE")
    found: dict[str, Journey] = {}
    problems: list[Problem] = []
    listed = _listed(room / CATALOGUE, problems)
    for file in sorted(room.glob("*.py")):
        if file.name not in _NOT_JOURNEYS:
            _read(file, found, problems, is_listed=listed is None or file.stem in listed)
    gone = sorted((listed or set()) - {file.stem for file in room.glob("*.py")})
    problems += [Problem(CATALOGUE, "no_such_file", f"{name}.py is named and not there") for name in gone]
    texts = _templates(room / "templates")
    for name, files in texts.items():
        problems += templates.problems(name, files)
    problems += missing_content(found.values(), texts)
    problems += [problem for journey in found.values() for problem in not_run_yet(journey)]
    return House(found, texts, problems, [warning for journey in found.values() for warning in warnings(journey)])


def _read(file: Path, found: dict[str, Journey], problems: list[Problem], *, is_listed: bool) -> None:
    try:
        journey = _journey(file)
    except Invalid as invalid:
        problems += invalid.problems
        return
    except Exception as error:  # noqa: BLE001 - a file of the team's may fail in any way; the others are still read
        problems.append(Problem(file.name, "import_failed", f"{type(error).__name__}: {error}{_line(error, file)}"))
        return
    if journey is None:
        problems.append(Problem(file.name, "no_journey", "it has no `journey = Journey(...)`; move what is none out of journeys/"))
    elif not is_listed:
        problems.append(Problem(file.name, "not_listed", f"add {file.stem}.journey to journeys/{CATALOGUE}, or move the file away"))
    elif twice := [other for other, known in found.items() if known.name == journey.name]:
        problems.append(Problem(file.name, "name_twice", f"{twice[0]}.py names its journey {journey.name} too"))
    else:
        found[file.stem] = journey


def _journey(file: Path) -> Journey | None:
    """Run one file as a module of its own name, so that two houses, or two runs, never share one."""
    name = f"house_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}_{file.stem}"
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    journey = getattr(module, "journey", None)
    return journey if isinstance(journey, Journey) else None


def _line(error: Exception, file: Path) -> str:
    if isinstance(error, SyntaxError):
        return ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return f" (line {lines[-1]})" if lines else ""


def _listed(catalogue: Path, problems: list[Problem]) -> set[str] | None:
    """The files whose journey the catalogue names, read without running it; None: there is no catalogue, so all count."""
    if not catalogue.exists():
        return None
    try:
        tree = ast.parse(catalogue.read_text())
    except SyntaxError as error:
        problems.append(Problem(CATALOGUE, "import_failed", f"SyntaxError: {error}"))
        return None
    return {node.value.id for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}


def _templates(folder: Path) -> dict[str, dict[str, str]]:
    return {
        each.name: {file.name: file.read_text() for file in sorted(each.iterdir()) if file.is_file() and not file.name.startswith(".")}
        for each in sorted(folder.iterdir() if folder.is_dir() else ())
        if each.is_dir() and not each.name.startswith((".", "_"))
    }
