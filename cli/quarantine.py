"""`sojourn quarantine`: events that no journey could be told of, and letting them be told again."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.amounts import minute
from cli.client import client
from cli.console import out
from cli.options import Most
from journeys.language.errors import Refused

app = typer.Typer(help="Events that could not be told to journeys: list, release.", no_args_is_help=True)


@app.command("list")
def list_quarantine(most: Most = 50) -> None:
    """List what was put aside, the newest first, with the reason."""
    table = Table("number", "user", "event", "since", "reason", box=None)
    with client() as sojourn:
        for each in sojourn.pages("/v1/quarantine", most):
            since = minute(each["created_at"])
            user = escape(each["user_id"] or "-")
            table.add_row(str(each["id"]), user, escape(each["event"] or each["kind"]), since, escape(each["reason"]))
    out.print(table)


@app.command()
def release(
    numbers: Annotated[list[int] | None, typer.Argument(help="which of them")] = None,
    everything: Annotated[bool, typer.Option("--all", help="all that are there now")] = False,
) -> None:
    """Let them be told again. Mend the cause first: what fails again is put aside again."""
    if bool(numbers) == everything:
        raise Refused("say which: their numbers, or --all")
    with client() as sojourn:
        told = sojourn.post("/v1/quarantine/release", {"ids": numbers or None})
    out.print(f"{told['released']} events are told again.")
