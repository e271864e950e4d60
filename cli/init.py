"""`sojourn init`: writes a house of the team's own, with a journey to begin from."""

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli.console import out
from cli.dev_words import how_to_call
from journeys.language.errors import Conflict

PATTERN = Path(__file__).parent / "new_house"
_CACHES = shutil.ignore_patterns("__pycache__", ".*_cache")
_MAY_BE_THERE = {".git"}


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a new folder, or an empty one")],
) -> None:
    """Write a house: a journey with its templates, its rehearsals and its test, a function, and what CI runs."""
    if folder.exists() and not folder.is_dir():
        raise Conflict(f"{folder} is a file: name a folder")
    if folder.exists() and (there := sorted({each.name for each in folder.iterdir()} - _MAY_BE_THERE)):
        raise Conflict(f"{folder} is not empty ({_some(there)}): name a new folder, or an empty one. Nothing was written.")
    shutil.copytree(PATTERN, folder, ignore=_CACHES, dirs_exist_ok=True)
    for file in sorted(each for each in folder.rglob("*") if each.is_file() and ".git" not in each.relative_to(folder).parts):
        out.print(f"  {escape(str(file.relative_to(folder)))}")
    out.print(_next(folder))


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")  # noqa: PLR2004 - enough to know which folder it is


def _next(folder: Path) -> str:
    call, place = escape(how_to_call()), escape(str(folder))
    return f"""
[bold]Your house stands in {place}.[/] Look at it:

  SOJOURN_HOUSE={place} {call} check
  SOJOURN_HOUSE={place} {call} rehearse welcome

and run it, with Postgres, Temporal and a sandbox for what it sends:

  SOJOURN_HOUSE={place} {call} dev

Its README.md says what lies where."""
