"""`sojourn users` and `sojourn why`: who somebody is, and what happened to them."""

from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from cli.amounts import minute
from cli.client import client
from cli.console import out
from cli.options import Most, segment
from cli.rehearse import read_json
from cli.user_consents import consents
from cli.user_data import erase, export
from cli.user_events import event

app = typer.Typer(help="Users of the app: find, show, set attributes, send an event, consents, export, erase.", no_args_is_help=True)
UserId = Annotated[str, typer.Argument(help="your own id of the user")]


@app.command("list")
def list_users(
    prefix: Annotated[str | None, typer.Option(help="only those whose id begins so")] = None,
    attribute: Annotated[list[str] | None, typer.Option(help="only those with this, as plan=pro; may be repeated")] = None,
    address: Annotated[str | None, typer.Option(help="only those who have this address")] = None,
    most: Most = 50,
) -> None:
    """List users, the newest first."""
    table = Table("user", "anonymous ids", "zone", "since", box=None)
    with client() as sojourn:
        for user in sojourn.pages("/v1/users", most, prefix=prefix, attribute=attribute or None, address=address):
            since = minute(user["created_at"])
            table.add_row(escape(user["user_id"] or "-"), escape(" ".join(user["anonymous_ids"])), user["timezone"] or "-", since)
    out.print(table)


@app.command()
def show(user_id: UserId) -> None:
    """Show a user's attributes and addresses."""
    with client() as sojourn:
        user = sojourn.get(f"/v1/users/{segment(user_id)}")
    out.print_json(orjson.dumps(user["attributes"]).decode())
    for endpoint in user["endpoints"]:
        out.print(escape(_endpoint(endpoint)))


@app.command("set")
def set_attributes(user_id: UserId, attributes: Annotated[str, typer.Argument(help="a JSON object; null removes one")]) -> None:
    """Create a user, or set attributes: those that are not named stay."""
    with client() as sojourn:
        sojourn.patch(f"/v1/users/{segment(user_id)}", {"attributes": read_json(attributes, "attributes")})
    out.print("Set.")


app.command()(event)
app.command()(consents)
app.command()(export)
app.command()(erase)


def _endpoint(endpoint: Any) -> str:
    words = f"{endpoint['channel']}: {endpoint['address']} ({endpoint['state']}"
    if endpoint["reason"]:
        words += f", {endpoint['reason']}"
    return words + (f", suppressed: {endpoint['suppression']})" if endpoint["suppression"] else ")")
