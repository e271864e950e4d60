"""What the pages name is there: operations, commands with their options, settings. Decisions are left out: they tell of their day."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from api.app import create_app
from cli.sojourn import command_line
from settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "decisions"),
]
SETTING = re.compile(r"\bSOJOURN_[A-Z0-9_]*[A-Z0-9]\b(?![*_])")
OPERATION = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) (/[\w/{}:.~-]+)")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
COMMAND = re.compile(r"(?:^|[\s`(|$])sojourn((?: +[^\s`|&;)#>]+)+)")
# Of the commands, the tests and the deployment; the settings class is not asked for them.
ELSEWHERE = re.compile(r"SOJOURN_(URL|KEY|HOUSE|VERSION)|SOJOURN_(TEST|BENCH|RECORD|SEED|VERDICT|CHANGE|TREE)\w*")


def _named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def _routes() -> list[tuple[str, re.Pattern[str]]]:
    paths = create_app(Settings()).openapi()["paths"]
    shape = re.compile(r"\{[^}]+\}")
    return [
        (method.upper(), re.compile("/?".join(["[^/]+".join(map(re.escape, shape.split(path))), ""])))
        for path, operations in paths.items()
        for method in operations
    ]


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_operation_that_a_page_names_is_there(page: Path) -> None:
    named = {(method, path.rstrip(".:")) for method, path in OPERATION.findall(page.read_text()) if path.startswith("/v1")}
    unknown = {each for each in named if not any(method == each[0] and path.fullmatch(each[1]) for method, path in _routes())}
    assert unknown == set()


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_setting_that_a_page_names_is_there(page: Path) -> None:
    known = {f"SOJOURN_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in SETTING.findall(page.read_text()) if not ELSEWHERE.fullmatch(name)} - known == set()


def _commands(text: str) -> Iterator[list[str]]:
    for code in CODE.findall(text):
        for line in code.strip("`").replace("\\\n", " ").splitlines():
            for words in COMMAND.findall(line):
                yield words.split()


@cache
def _tree() -> Any:
    return typer.main.get_command(command_line("all"))


def _unknown(words: list[str]) -> str | None:
    """What of a command's words the command line does not know."""
    command = _tree()
    said = words
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if not re.fullmatch(r"[a-z-]+", words[0]):
            return None  # a place for a name, as in `sojourn <command>`
        if words[0] not in command.commands:
            return " ".join(said)
        command, words = command.commands[words[0]], words[1:]
    options = {"--help", *(option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts))}
    for word in words:
        name = word.split("=")[0].rstrip(",.:]")
        if re.fullmatch(r"--[a-z][a-z-]*", name) and name not in options:
            return f"{' '.join(said)}: {name}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_command_and_option_that_a_page_names_is_there(page: Path) -> None:
    assert [found for words in _commands(page.read_text()) if (found := _unknown(words))] == []


def test_the_scan_finds_what_there_is_not() -> None:
    assert [_unknown(words) for words in _commands("`sojourn providers sett email` and `sojourn pause --everything`")] == [
        "providers sett email",
        "pause --everything: --everything",
    ]
    assert not any(path.fullmatch("/v1/user/ann") for _, path in _routes())
    assert any(method == "GET" and path.fullmatch("/v1/users/ann") for method, path in _routes())
    assert sum(1 for page in PAGES for _ in _commands(page.read_text())) > 100
