"""`sojourn journeys`: what is published, who is inside, what is paused or held, and what starts by the clock."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.amounts import minute
from cli.client import client
from cli.console import out
from cli.options import Most, segment

app = typer.Typer(help="What is published, who is inside, and what starts by the clock.", no_args_is_help=True)


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
        table.add_row(f"v{version['version']}{live}", minute(version["published_at"]), str(version["inside"]))
    out.print(table)


@app.command()
def schedule(name: Annotated[str, typer.Argument(help="the journey's name")], most: Most = 10) -> None:
    """Say when a journey that starts by the clock starts people next, and how far each time came, the newest first."""
    path = f"/v1/journeys/{segment(name)}/schedule"
    with client() as sojourn:
        each = sojourn.get(path)
        runs = list(sojourn.pages(f"{path}/runs", most))
    out.print(escape(f"{name} starts {each['words']}; {_next(each)}"))
    if each["is_live"] and not each["is_at_temporal"]:
        out.print("Temporal has no schedule of it yet: a running worker makes it within seconds.")
    table = Table("struck (UTC)", "where", "state", "people", "asked", box=None)
    for run in runs:
        why = f" ({run['reason']})" if run["reason"] else ""
        row = (minute(run["struck_at"]), _where(run), f"{run['state']}{why}", f"{run['people']:,}", f"{run['asked']:,}")
        table.add_row(*map(escape, row))
    out.print(table if table.row_count else "It has not struck yet.")


def _next(each: Any) -> str:
    if not each["is_live"]:
        return "no more: it is retired, or starts by something else now"
    return f"next at {minute(each['next_at'])} UTC" if each["next_at"] else "never again"


def _where(run: Any) -> str:
    if not run["zones_count"]:
        return "everywhere"
    others = f" and {run['zones_count'] - 1} more" if run["zones_count"] > 1 else ""
    return f"{run['zones'][0]}{others}"


def _state(each: Any) -> str:
    words = "retired" if each["retired_at"] else "live" if each["accepts_entries"] else "published, takes nobody in"
    return words + (", paused" if each["paused_at"] else "")
