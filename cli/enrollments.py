"""`sojourn enrollments`: who is in which journey, where they stand and why; letting somebody go on, or out."""

import re
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.client import Client, client
from cli.console import out
from cli.options import Most
from journeys.language.errors import NotFound, Refused

app = typer.Typer(help="Who is in which journey: list, show, advance, exit.", no_args_is_help=True)
_UUID = re.compile(r"[0-9a-fA-F-]{36}")
Which = Annotated[str, typer.Argument(help="the enrollment's id, or a user id who is in one journey")]


@app.command("list")
def list_enrollments(
    user: Annotated[str | None, typer.Option(help="only this user's")] = None,
    journey: Annotated[str | None, typer.Option(help="only those in this journey")] = None,
    state: Annotated[str | None, typer.Option(help="starting, open or closed")] = None,
    most: Most = 50,
) -> None:
    """List enrollments, the newest first."""
    table = Table("enrollment", "journey", "user", "state", "since", "ended", box=None)
    with client() as sojourn:
        for each in sojourn.pages("/v1/enrollments", most, user_id=user, journey=journey, state=state):
            journey_words = f"{each['journey']} v{each['version']}"
            user_words = escape(each["user_id"] or each["subject"])
            since = each["started_at"][:16].replace("T", " ")
            table.add_row(each["id"], journey_words, user_words, each["state"], since, escape(each["end_reason"] or ""))
    out.print(table)


@app.command()
def show(which: Which) -> None:
    """Show where somebody stands, since when, and how they came there."""
    with client() as sojourn:
        each = sojourn.get(f"/v1/enrollments/{_id(sojourn, which)}")
    where = each["where"]
    out.print(escape(f"{each['user_id'] or each['subject']} in {each['journey']} v{each['version']}: {where['words']}"))
    if where["since"]:
        out.print(f"since {where['since'][:19].replace('T', ' ')} UTC")
    out.print(escape(f"workflow {each['workflow_id']}"))
    for outcome in each["outcomes"]:
        out.print(escape(f"  {outcome['at'][:19].replace('T', ' ')}  {outcome['step']}: {_verdict(outcome['verdict'])}"))


@app.command()
def advance(which: Which) -> None:
    """Let the wait that is going on end now."""
    with client() as sojourn:
        sojourn.post(f"/v1/enrollments/{_id(sojourn, which)}/advance")
    out.print("Told: the wait ends now.")


@app.command("exit")
def take_out(which: Which, reason: Annotated[str, typer.Option(help="shown in the timeline")] = "exited_by_hand") -> None:
    """Take somebody out of a journey."""
    with client() as sojourn:
        sojourn.post(f"/v1/enrollments/{_id(sojourn, which)}/exit", {"reason": reason})
    out.print("Told: the enrollment ends now.")


def _id(sojourn: Client, which: str) -> str:
    """An enrollment's id as it is; a user id stands for the one journey that this user is in."""
    if _UUID.fullmatch(which):
        # Many apps name their users by UUIDs too.
        with suppress(NotFound):
            return str(sojourn.get(f"/v1/enrollments/{which}")["id"])
    found = [each for each in sojourn.pages("/v1/enrollments", 200, user_id=which) if each["state"] != "closed"]
    if not found:
        raise NotFound(f"{which} is in no journey at present")
    if len(found) > 1:
        listed = "\n".join(f"  {each['id']}  {each['journey']}" for each in found)
        raise Refused(f"{which} is in several journeys; name one by its id:\n{listed}")
    return str(found[0]["id"])


def _verdict(verdict: Any) -> str:
    if verdict.get("kind") == "decided":
        return "otherwise" if verdict["branch"] is None else f"branch {verdict['branch'] + 1}"
    settled = {"settled": "sent" if verdict.get("sent") else "not sent"}
    words = settled.get(verdict.get("status"), verdict.get("status")) or verdict.get("state") or verdict.get("kind") or "done"
    reasons = verdict.get("reasons") or ([verdict["reason"]] if verdict.get("reason") else [])
    return f"{words} ({', '.join(reasons)})" if reasons else str(words)
