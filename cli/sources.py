"""`sojourn sources`: what templates look up outside, what a source answers for a key, its rows, and its secret headers."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.amounts import minute
from cli.client import client
from cli.console import out
from cli.options import Most, segment
from journeys.language.errors import Invalid, NotFound, Problem

app = typer.Typer(help="Sources of templates: list, ask, upload rows, set secret headers.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="the source's name")]


@app.command("list")
def list_sources(most: Most = 100) -> None:
    """List them, by name."""
    table = Table("source", "version", "rows", "headers", "templates", "what", box=None)
    with client() as sojourn:
        for each in sojourn.pages("/v1/sources", most):
            rows = "-" if each["rows"] is None else f"{each['rows']:,}"
            lists = (", ".join(each[names]) or "-" for names in ("headers", "templates"))
            table.add_row(each["name"], str(each["version"]), rows, *lists, escape(each["words"]))
    out.print(table if table.row_count else "None: `sojourn apply` publishes those of journeys/sources/.")


@app.command()
def show(name: Name, as_json: Annotated[bool, typer.Option("--json", help="its definition as JSON")] = False) -> None:
    """Say what a source is, and which templates ask it."""
    with client() as sojourn:
        each = sojourn.get(f"/v1/sources/{segment(name)}")
    if as_json:
        out.print(json.dumps(each["definition"], indent=2), markup=False)
        return
    out.print(escape(f"{each['name']}, version {each['version']}: {each['words']}"))
    if each["rows"] is not None:
        out.print(f"{each['rows']:,} rows" + (f" since {minute(each['rows_at'])} UTC" if each["rows_at"] else ""))
    for header in each["headers"]:
        out.print(escape(f"secret header {header}: set"))
    out.print(escape(f"asked by {', '.join(each['templates']) or 'no template'}"))


@app.command()
def look(name: Name, key: Annotated[str, typer.Argument(help="what to ask for")]) -> None:
    """Ask a source for a key, and show what a template would get. Exits with 1 when it does not answer."""
    with client() as sojourn:
        told = sojourn.post(f"/v1/sources/{segment(name)}/look", {"key": key})
    match told["verdict"]:
        case "found":
            out.print(json.dumps(told["row"], ensure_ascii=False, indent=2), markup=False)
        case "absent":
            out.print("It has nothing for this key, and no default.")
        case _:
            out.print(escape(f"It does not answer: {told['words']}"), style="red")
            raise typer.Exit(1)


@app.command()
def upload(name: Name, file: Annotated[Path, typer.Argument(help="a CSV whose first line names the columns")]) -> None:
    """Replace all rows that are kept here for a source."""
    try:
        text = file.read_text()
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {file}") from error
    except UnicodeDecodeError as error:
        raise Invalid([Problem(str(file), "no_csv", "the file is not in UTF-8: save it so")]) from error
    with client() as sojourn:
        each = sojourn.put(f"/v1/sources/{segment(name)}/rows", {"csv": text})
    out.print(f"{each['rows']:,} rows.")


@app.command()
def headers(name: Name) -> None:
    """Set the secret headers of a source: their values are asked for, or read from stdin, a line for each in the order of the source."""
    path = f"/v1/sources/{segment(name)}"
    with client() as sojourn:
        names = sojourn.get(path)["definition"]["origin"].get("headers", [])
        values = {header: _value(header) for header in names}
        each = sojourn.put(f"{path}/headers", {"headers": values})
    out.print(escape(f"{', '.join(each['headers'])}: set. Workers send them within five seconds." if names else "It names no headers."))


def _value(header: str) -> str:
    return str(typer.prompt(header, hide_input=True)) if sys.stdin.isatty() else sys.stdin.readline().strip()
