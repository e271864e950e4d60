"""`sojourn holdout`: what all marketing together does, seen in those who are held out of it."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.amounts import minute
from cli.client import client
from cli.console import out
from cli.moments import moment
from cli.share_words import points, share, verdict


def holdout(
    event: Annotated[str, typer.Argument(help="what counts as a conversion, such as order_placed")],
    since: Annotated[str, typer.Option(help="from when on: 2027-01-01, 2027-01-01T09:00Z, or 30d, 2w ago; UTC")],
    until: Annotated[str | None, typer.Option(help="until when; left out: now")] = None,
) -> None:
    """Tell how many of those who are held out of all marketing did an event, and how many of the others."""
    with client() as sojourn:
        found = sojourn.get("/v1/holdout/results", event=event, since=moment(since), until=moment(until))
    for line in lines(found, event):
        out.print(line)


def lines(found: Any, event: str) -> Iterator[str]:
    """The results, line by line, with markup."""
    yield f"[bold]{escape(event)}[/] from {minute(found['since'])} to {minute(found['until'])} UTC, of users known before"
    yield f"[dim]{'':<22}{'people':>11}{'did it':>11}[/]"
    yield _people("held out", found["held_out"])
    yield _people("all others", found["others"])
    if found["difference"]:
        yield f"  all others against held out   {points(found['difference'])}{verdict(found['difference'])}"
    if found["is_mismatched"]:
        yield f"  [red]more or fewer people are held out than {found['percent']:g} %: trust no result[/]"
    if found["held_out"] or found["others"]:
        yield "[dim]In brackets: where the truth lies, at 95 %, however often you look.[/]"


def _people(called: str, found: Any) -> str:
    counted = f"{found['of']:>11,}{found['n']:>11,}  {share(found)}" if found else f"{0:>11}"
    return f"  {called:<20}{counted}"
