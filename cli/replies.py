"""`sojourn replies`: texts that may ask us to stop, for a person to look at."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.amounts import minute
from cli.client import client
from cli.console import out
from cli.options import Most
from journeys.language.errors import Refused

app = typer.Typer(help="Texts that may ask us to stop: list, decide.", no_args_is_help=True)


@app.command("list")
def list_replies(
    most: Most = 50, *, everything: Annotated[bool, typer.Option("--all", help="those too that were decided")] = False
) -> None:
    """List them, the newest first. Marketing on their channel rests for these users."""
    table = Table("number", "user", "channel", "since (UTC)", "text", "decided", box=None)
    with client() as sojourn:
        for each in sojourn.pages("/v1/unclear-replies", most, decided=everything):
            since = minute(each["received_at"])
            decided = f"{each['decision']}, by {each['decided_by']}" if each["decision"] else "-"
            table.add_row(str(each["id"]), escape(each["user_id"] or "-"), each["channel"], since, escape(each["text"]), escape(decided))
    out.print(table if table.row_count else "None: no text waits for a person to say what it meant.")


@app.command()
def decide(
    number: Annotated[int, typer.Argument(help="as `sojourn replies list` shows it")],
    *,
    stays: Annotated[bool, typer.Option("--stays", help="it asked for something else: all is as before")] = False,
    leaves: Annotated[bool, typer.Option("--leaves", help="they want no more marketing on this channel")] = False,
) -> None:
    """Say what a text meant."""
    if stays == leaves:
        raise Refused("say which: --stays or --leaves")
    with client() as sojourn:
        decided = sojourn.post(f"/v1/unclear-replies/{number}/decide", {"decision": "stays" if stays else "leaves"})
    out.print(f"Decided: {escape(decided['user_id'] or 'they')} {decided['decision']}, on {decided['channel']}.")
