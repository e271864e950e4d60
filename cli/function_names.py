"""Which functions a house registers for its Calls, found by reading: what they import need not be installed here."""

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

import activities.functions
from activities.functions.loading import is_ours
from cli.findings import Finding
from journeys.language.errors import Problem

CATALOGUE = "catalogue.py"


def read_functions(home: Path) -> tuple[Collection[str] | None, list[Finding]]:
    """Give the names that functions/catalogue.py registers, and what is wrong there; None: they cannot be known."""
    room = home / "functions"
    if not (room / CATALOGUE).is_file():
        if not is_ours(home):
            return frozenset(), []
        room = Path(str(activities.functions.__file__)).parent
    findings: list[Finding] = []
    tree = _parsed(room / CATALOGUE, findings)
    if tree is None:
        return None, findings
    lines = _registered(tree)
    if lines is None:
        words = 'it has no `FUNCTIONS = {"name": name, ...}`: write it, with a line for each function'
        return None, [Finding(Problem(f"functions/{CATALOGUE}", "no_functions", words), room / CATALOGUE)]
    return frozenset(lines), [*findings, *_files(room, lines)]


def _files(room: Path, lines: dict[str, int]) -> Iterator[Finding]:
    """Each function has a file of its name, and each such file is registered."""
    there = {file.stem: file for file in sorted(room.glob("*.py")) if file.name != CATALOGUE and not file.name.startswith("_")}
    for name in sorted(set(lines) - set(there)):
        words = f"there is no functions/{name}.py: add the file, or take {name} out of the catalogue"
        yield Finding(Problem(f"functions/{CATALOGUE}", "no_function_file", words), room / CATALOGUE, lines[name])
    for name, file in there.items():
        found: list[Finding] = []
        tree = _parsed(file, found)
        yield from found
        if tree is not None and name in lines and name not in _coroutines(tree):
            words = f"it has no `async def {name}(call: FunctionCall)`: name the function as its file"
            yield Finding(Problem(f"functions/{file.name}", "no_such_function", words), file)


def _parsed(file: Path, findings: list[Finding]) -> ast.Module | None:
    try:
        return ast.parse(file.read_text())
    except SyntaxError as error:
        words = f"Python cannot read this line: {error.msg}"
        findings.append(Finding(Problem(f"functions/{file.name}", "import_failed", words), file, error.lineno or 1))
        return None


def _registered(tree: ast.Module) -> dict[str, int] | None:
    """The keys of FUNCTIONS with their lines."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        named = any(isinstance(target, ast.Name) and target.id == "FUNCTIONS" for target in targets)
        if named and isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict):
            keys = [key for key in node.value.keys if isinstance(key, ast.Constant)]
            return {key.value: key.lineno for key in keys if isinstance(key.value, str)}
    return None


def _coroutines(tree: ast.Module) -> set[str]:
    return {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
