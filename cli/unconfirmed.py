"""`sojourn unconfirmed`: messages of which nobody knows whether they went out, and saying so once somebody knows."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.amounts import minute
from cli.client import client
from cli.console import out
from cli.options import Most
from journeys.language.errors import Refused

app = typer.Typer(help="Messages that may have gone out: list, resolve.", no_args_is_help=True)


@app.command("list")
def list_unconfirmed(most: Most = 50) -> None:
    """List them. Most resolve by themselves, when the provider tells or is asked."""
    table = Table("message", "user", "channel", "journey", "since (UTC)", "what the provider said", box=None)
    with client() as sojourn:
        for each in sojourn.pages("/v1/messages", most, state="unknown"):
            since = minute(each["settled_at"] or each["planned_at"])
            where = f"{each['journey']}: {each['step']}" if each["journey"] else "-"
            table.add_row(each["id"], escape(each["user_id"] or "-"), each["channel"], escape(where), since, escape(each["answer"] or "-"))
    out.print(table if table.row_count else "None: of every message it is known whether it went out.")


@app.command()
def resolve(
    message: Annotated[str, typer.Argument(help="the id of the message")],
    *,
    went_out: Annotated[bool, typer.Option("--went-out", help="the provider's pages show it")] = False,
    did_not: Annotated[bool, typer.Option("--did-not", help="it never reached the provider")] = False,
) -> None:
    """Say what became of one. Nothing is sent by it."""
    if went_out == did_not:
        raise Refused("say which: --went-out or --did-not")
    with client() as sojourn:
        resolved = sojourn.post(f"/v1/messages/{message}/resolve", {"went_out": went_out})
    out.print(f"Resolved: the message is {resolved['state'].replace('_', ' ')}.")
