"""`sojourn suppressions`: addresses that nothing may be sent to, and the keys under which they are hidden."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.amounts import minute
from cli.client import client
from cli.console import out
from cli.options import Most, segment

app = typer.Typer(help="Addresses that nothing may be sent to: list, add, remove.", no_args_is_help=True)
ChannelName = Annotated[str, typer.Argument(help="email, sms, ...")]


@app.command("list")
def list_suppressions(most: Most = 50, *, channel: Annotated[str | None, typer.Option(help="only those of this channel")] = None) -> None:
    """List them, the newest first. The addresses themselves are not kept: an id is a keyed hash."""
    table = Table("channel", "id", "reason", "told by", "since (UTC)", "to do at the provider", box=None)
    with client() as sojourn:
        for each in sojourn.pages("/v1/suppressions", most, channel=channel):
            since = minute(each["created_at"])
            to_do = escape(each["at_provider"] or "-")
            table.add_row(each["channel"], each["id"], each["reason"], escape(each["source"]), since, to_do)
    out.print(table if table.row_count else "None: no address is suppressed.")


@app.command()
def add(
    channel: ChannelName,
    address: Annotated[str, typer.Argument(help="the mail address, the number, ...")],
    source: Annotated[str, typer.Option(help="who says so, for whoever asks later")] = "cli",
) -> None:
    """Let nothing be sent to an address any more, transactional messages included."""
    with client() as sojourn:
        added = sojourn.post("/v1/suppressions", {"channel": channel, "address": address, "source": source})
    out.print(f"Suppressed: {channel} {added['id']} ({added['reason']}).")


@app.command()
def remove(
    channel: ChannelName, suppression: Annotated[str, typer.Argument(help="its id, as `sojourn suppressions list` shows it")]
) -> None:
    """Let an address be written to again: its owner asked for it, or it was suppressed by mistake."""
    with client() as sojourn:
        told = sojourn.delete(f"/v1/suppressions/{segment(channel)}/{segment(suppression)}")
    if told:
        out.print(f"Removed here. The provider still takes nothing for it: {escape(told['at_provider'])}.")
    else:
        out.print(f"Removed: {channel} {suppression} may be written to again.")


@app.command()
def rekey() -> None:
    """Hide every suppression that can be under the newest of SOJOURN_SUPPRESSION_KEYS, and say how many need an older key still."""
    with client() as sojourn:
        told = sojourn.post("/v1/suppressions/rekey")
    out.print(f"Under the newest key now: {told['rekeyed']} more.")
    if told["left"]:
        out.print(f"{told['left']} stand under an older key, of addresses that nobody has any more: keep that key in the setting.")
