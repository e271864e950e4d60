"""`sojourn enrollments`: who is in which journey, where they stand and why; letting somebody go on, or out."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.amounts import minute, second
from cli.by_hand import advance, event, take_out
from cli.client import client
from cli.console import out
from cli.moves import move
from cli.options import Most
from cli.starts import start
from cli.whom import Held, Key, LastStep, Since, Until, Version, Which, id_of

app = typer.Typer(help="Who is in which journey: list, show, start, advance, exit.", no_args_is_help=True)


@app.command("list")
def list_enrollments(
    user: Annotated[str | None, typer.Option(help="only this user's")] = None,
    journey: Annotated[str | None, typer.Option(help="only those in this journey")] = None,
    version: Version = None,
    state: Annotated[str | None, typer.Option(help="starting, open or closed")] = None,
    ended: Annotated[str | None, typer.Option(help="only those that ended so: completed, exited, ...")] = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
    held: Held = None,
    last_step: LastStep = None,
    most: Most = 50,
) -> None:
    """List enrollments, the newest first."""
    table = Table("enrollment", "journey", "user", "state", "since", "ended", box=None)
    asked = {"user_id": user, "journey": journey, "version": version, "state": state, "end_reason": ended, "key": key, "held": held}
    with client() as sojourn:
        for each in sojourn.pages("/v1/enrollments", most, **asked, since=since, until=until, last_step=last_step):
            journey_words = f"{each['journey']} v{each['version']}"
            user_words = escape(each["user_id"] or each["subject"])
            started = minute(each["started_at"])
            state_words = each["state"] + (f", held at {each['held_step']}" if each["held_step"] else "")
            table.add_row(each["id"], journey_words, user_words, state_words, started, escape(each["end_reason"] or ""))
    out.print(table)


@app.command()
def show(which: Which) -> None:
    """Show where somebody stands, since when, and how they came there."""
    with client() as sojourn:
        each = sojourn.get(f"/v1/enrollments/{id_of(sojourn, which)}")
    where = each["where"]
    out.print(escape(f"{each['user_id'] or each['subject']} in {each['journey']} v{each['version']}: {where['words']}"))
    if where["since"]:
        out.print(f"since {second(where['since'])} UTC")
    if each["held_step"]:
        out.print(
            escape(f"its message {each['held_step']} is held since {second(each['held_at'])} UTC: sending is paused (`sojourn resume`)")
        )
    out.print(escape(f"workflow {each['workflow_id']}"))
    lines = [(outcome["at"], f"{outcome['step']}: {_verdict(outcome['verdict'])}") for outcome in each["outcomes"]]
    lines += [(done["at"], f"{done['words']} (by {done['done_by']})") for done in each["interventions"]]
    for at, words in sorted(lines):
        out.print(escape(f"  {second(at)}  {words}"))


app.command()(start)
app.command()(advance)
app.command("exit")(take_out)
app.command()(event)
app.command()(move)


def _verdict(verdict: Any) -> str:
    if verdict.get("kind") == "decided":
        return "otherwise" if verdict["branch"] is None else f"branch {verdict['branch'] + 1}"
    settled = {"settled": "sent" if verdict.get("sent") else "not sent"}
    words = settled.get(verdict.get("status"), verdict.get("status")) or verdict.get("state") or verdict.get("kind") or "done"
    reasons = verdict.get("reasons") or ([verdict["reason"]] if verdict.get("reason") else [])
    return f"{words} ({', '.join(reasons)})" if reasons else str(words)
