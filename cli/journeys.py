"""`sojourn journeys`: what is published, who is inside, and what is paused or held."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.client import client
from cli.console import out
from cli.options import segment

app = typer.Typer(help="What is published, and who is inside: list, show.", no_args_is_help=True)


@app.command("list")
def list_journeys() -> None:
    """List journeys, retired ones too."""
    table = Table("journey", "version", "state", "inside", "held", box=None)
    with client() as sojourn:
        for each in sojourn.get("/v1/journeys")["items"]:
            inside = str(sum(each["inside"].values()))
            table.add_row(each["name"], f"v{each['live_version']}", _state(each), inside, str(each["held"] or ""))
    out.print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="the journey's name")]) -> None:
    """Show a journey: its state, its versions, and how many people are inside each."""
    with client() as sojourn:
        each = sojourn.get(f"/v1/journeys/{segment(name)}")
    out.print(escape(f"{each['name']} is {_state(each)}; {each['entry']}"))
    if each["held"]:
        out.print(f"{each['held']} messages are held: sending is paused (`sojourn enrollments list --journey {each['name']} --held`)")
    table = Table("version", "published", "inside", box=None)
    for version in each["versions"]:
        live = " (live)" if version["version"] == each["live_version"] else ""
        table.add_row(f"v{version['version']}{live}", version["published_at"][:16].replace("T", " "), str(version["inside"]))
    out.print(table)


def _state(each: Any) -> str:
    words = "retired" if each["retired_at"] else "live" if each["accepts_entries"] else "published, takes nobody in"
    return words + (", paused" if each["paused_at"] else "")
