"""`sojourn campaigns`: where each stands, trying one out, launching, watching, pausing, stopping, results, sending again what failed."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli import campaign_results
from cli.amounts import minute, of_people
from cli.campaign_progress import counted, counted_on_events, waiting, watch_run
from cli.client import Client, client
from cli.console import notes, out
from cli.options import Most
from cli.options import segment as part
from cli.rehearse import read_json
from journeys.language.campaigns import ONLY
from journeys.language.errors import NotFound, Refused

app = typer.Typer(help="Campaigns: list, show, try out, launch, watch, pause, stop, results.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="the campaign's name")]
Data = Annotated[str, typer.Option(help='of a campaign on an event: the event\'s properties as JSON, such as {"total": 20}')]
Run = Annotated[str | None, typer.Option("--run", help="the id of a run; the newest, if not given")]


@app.command("list")
def list_campaigns(most: Most = 50) -> None:
    """List them, by name."""
    table = Table("campaign", "state", "segment", "version", "next", box=None)
    with client() as sojourn:
        for each in sojourn.pages("/v1/campaigns", most):
            row = (each["name"], each["state"].replace("_", " "), each["segment"], str(each["version"]), _next(each))
            table.add_row(*map(escape, row))
    out.print(table if table.row_count else "None: no campaign is published.")


@app.command()
def show(name: Name) -> None:
    """Say where a campaign stands, what was done to it by whom, and what its runs, or its events, came to."""
    with client() as sojourn:
        each = sojourn.get(_path(name))
        runs = list(sojourn.pages(_path(name, "runs"), 5))
        on_events = [] if each["sent_on_events"] is None else [*counted_on_events(each["sent_on_events"])]
        lines = [*_stands(each), *_done(sojourn, name), *on_events, *(line for run in runs for line in _of_run(sojourn, name, run))]
    for line in lines:
        out.print(escape(line))


@app.command()
def versions(name: Name, most: Most = 20) -> None:
    """List what was published of it, the newest first."""
    table = Table("version", "", "published (UTC)", "by", "segment", "message", box=None)
    with client() as sojourn:
        for each in sojourn.pages(_path(name, "versions"), most):
            said = each["definition"]
            row = (minute(each["published_at"]), each["published_by"], said["segment"], _messages_of(said))
            table.add_row(f"{each['version']}", "launched" if each["is_launched"] else "", *map(escape, row))
    out.print(table)


@app.command()
def check(
    name: Name,
    people: Annotated[int, typer.Option(min=1, max=20, help="to how many people it is shown")] = 3,
    user: Annotated[list[str] | None, typer.Option(help="to this user; may be given again")] = None,
    named: Annotated[int, typer.Option(min=1, max=1000, help="so many who lack something are named")] = 10,
    data: Data = "{}",
) -> None:
    """Show what some of its people would get, and who lacks what its templates require. Nothing is sent.

    Exits with 1 where somebody lacks something.
    """
    asked = {"people": people, "user_ids": user or [], "data": read_json(data, "data")}
    with client() as sojourn:
        shown = sojourn.post(_path(name, "dry-run"), asked)
        missing = sojourn.get(_path(name, "missing-variables"), limit=named)["missing"]
    about = "" if shown["is_exact"] else "about "
    out.print(escape(f"{name} goes to {about}{of_people(shown['people_in_segment'])}."))
    for each in shown["messages"]:
        for line in _message(each):
            out.print(escape(line))
    for each in missing:
        notes.print(f"[yellow]lacking:[/] {escape(_lacking(each))}")
    if missing:
        raise typer.Exit(1)


@app.command("test")
def send_test(
    name: Name,
    addresses: Annotated[list[str], typer.Argument(help="addresses of your own")],
    version: Annotated[str | None, typer.Option(help="which one; the first, if not given")] = None,
    user: Annotated[str | None, typer.Option(help="whose attributes fill it in; the template's sample, if not given")] = None,
    data: Data = "{}",
) -> None:
    """Send one version to addresses of your own, marked as a test."""
    asked = {"addresses": addresses, "version": version, "user_id": user, "data": read_json(data, "data")}
    with client() as sojourn:
        sent = sojourn.post(_path(name, "test-send"), asked)
    out.print(f"{len(sent['messages'])} on the way: " + ", ".join(sent["messages"]))


@app.command()
def submit(name: Name) -> None:
    """Ask for a review of its newest version."""
    with client() as sojourn:
        sojourn.post(_path(name, "submit"))
    out.print(escape(f"{name} is in review: somebody with another key approves it with `sojourn campaigns approve {name}`."))


@app.command()
def approve(name: Name) -> None:
    """Approve its newest version, which somebody else has submitted."""
    with client() as sojourn:
        each = sojourn.post(_path(name, "approve"))
    out.print(escape(f"Version {each['version']} of {name} may be launched."))


@app.command("send-back")
def send_back(name: Name) -> None:
    """Make it a draft again, without approving it."""
    _act(name, "send-back", "Ask for another review with `sojourn campaigns submit {name}`.")


@app.command()
def launch(
    name: Name,
    again: Annotated[bool, typer.Option("--again", help="though this version went out before: it writes to the same people again")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Let it go out: now, or as its `when` says. It asks first, unless --yes."""
    with client() as sojourn:
        each = sojourn.get(_path(name))
        size = sojourn.get(f"/v1/segments/{part(each['segment'])}/size")
        about = "" if size["is_exact"] else "about "
        whom = "to" if each["definition"].get("when", {}).get("kind") not in ("events", "segment") else "on its events, among"
        if not yes and not typer.confirm(f"Launch version {each['version']} of {name} {whom} {about}{of_people(size['people'])}?"):
            raise Refused("nothing was launched")
        each = sojourn.post(_path(name, "launch"), {"again": again})
    verb = "watch" if each["sent_on_events"] is None else "show"
    out.print(escape(f"{name} is {each['state']}{_begins(each)}. Watch it with `sojourn campaigns {verb} {name}`."))


@app.command()
def pause(name: Name) -> None:
    """Claim nothing more of it, and begin no run, until it is resumed."""
    _act(name, "pause", "Go on with `sojourn campaigns resume {name}`.")


@app.command()
def resume(name: Name) -> None:
    """Let it go on where it was."""
    _act(name, "resume", "See how far it is with `sojourn campaigns show {name}`.")


@app.command()
def stop(name: Name) -> None:
    """Stop it for good: what has not left does not leave."""
    _act(name, "stop", "")


@app.command()
def delete(name: Name) -> None:
    """Forget it with its versions; what it has sent stays. Refused while it is scheduled, running or paused."""
    with client() as sojourn:
        sojourn.delete(_path(name))
    out.print(escape(f"{name} is deleted."))


@app.command()
def results(name: Name, run: Run = None) -> None:
    """Show what a run's versions came to, by people who reached the goal, and what becomes of those who wait for a winner."""
    with client() as sojourn:
        told = sojourn.get(_path(name, "runs", run or _newest(sojourn, name)["id"], "results"))
    for line in campaign_results.lines(told, name):
        out.print(line)


@app.command()
def winner(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="the version that the rest get")] = None,
    run: Run = None,
    nothing: Annotated[bool, typer.Option("--nothing", help="the rest get nothing")] = False,
) -> None:
    """Decide what those get who wait for a winner, before the rule does or where it will not. It stays so."""
    if (version is None) is not nothing:
        raise Refused("name the version that the rest get, or say --nothing")
    with client() as sojourn:
        told = sojourn.post(_path(name, "runs", run or _newest(sojourn, name)["id"], "winner"), {"version": version})
    what = f"version {version}" if version else "nothing"
    out.print(escape(f"The rest of run {told['id']} get {what}. Watch it with `sojourn campaigns watch {name}`."))


@app.command()
def resend(name: Name, run: Run = None) -> None:
    """Send again what failed in a run, and only that."""
    with client() as sojourn:
        failed = run or _newest(sojourn, name)["id"]
        begun = sojourn.post(_path(name, "runs", failed, "resend"))
    out.print(escape(f"Run {begun['id']} begins. Watch it with `sojourn campaigns watch {name}`."))


@app.command()
def watch(name: Name, run: Run = None) -> None:
    """Watch a run to its end, and tell what it came to."""
    with client() as sojourn:
        told = watch_run(sojourn, _path(name, "runs", run or _newest(sojourn, name)["id"]), name)
    for line in counted(told):
        out.print(escape(line))


def _path(name: str, *rest: str) -> str:
    return "/".join(["/v1/campaigns", part(name), *rest])


def _act(name: str, act: str, then: str) -> None:
    with client() as sojourn:
        each = sojourn.post(_path(name, act))
    out.print(escape(f"{name} is {each['state']}. {then.format(name=name)}".rstrip()))


def _newest(sojourn: Client, name: str) -> Any:
    """Raises NotFound where it has not begun yet."""
    found = next(sojourn.pages(_path(name, "runs"), 1), None)
    if found is None:
        raise NotFound(f"{name} has no run yet: `sojourn campaigns show {name}` says when one begins")
    return found


def _stands(each: Any) -> Iterator[str]:
    yield f"{each['name']} is {each['state'].replace('_', ' ')}; it goes to segment {each['segment']}{_begins(each)}"
    launched = f", launched: version {each['launched_version']}" if each["launched_version"] else ", never launched"
    yield f"    version {each['version']}, published by {each['published_by']} {minute(each['published_at'])}{launched}"
    if each["approved_version"] == each["version"]:
        yield f"    approved by {each['approved_by']}"


def _done(sojourn: Client, name: str) -> Iterator[str]:
    for each in sojourn.pages(_path(name, "history"), 10):
        version = f" version {each['version']}" if each["version"] else ""
        yield f"    {minute(each['at'])} {each['act'].replace('_', ' ')}{version}, by {each['done_by']}"


def _of_run(sojourn: Client, name: str, run: Any) -> Iterator[str]:
    told = sojourn.get(_path(name, "runs", run["id"]))
    again = f", what failed in {run['repeats']}" if run["repeats"] else ""
    yield f"run {run['id']}: {run['state']}, begun {minute(run['began_at'])}{again}"
    yield from (f"    {line}" for line in (*counted(told), *waiting(told)))
    if any(each["reason"] == "no_winner_yet" for each in told["waits"]):
        yield f"    `sojourn campaigns results {name} --run {run['id']}` says why there is none"


def _message(each: Any) -> Iterator[str]:
    if each["left_out"] is not None:
        yield f"{each['user_id']}: nothing, {_LEFT_OUT[each['left_out']]}"
        return
    later = f", {timedelta(seconds=each['after_s'])} after the run begins" if each["after_s"] else ""
    yield f"{each['user_id']}: {each['version']}, {each['channel']}{later}" + (f", not made: {_why(each)}" if each["problem"] else "")
    for name, text in (each["parts"] or {}).items():
        if isinstance(text, str) and name != "html":
            yield f"    {name}: {text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}"


def _messages_of(definition: Any) -> str:
    if definition.get("versions"):
        return ", ".join(f"{each['name']} {each['weight']:g} %" for each in definition["versions"])
    return f"{definition['message']['channel']} {definition['message']['template']}"


def _next(each: Any) -> str:
    if each["next_local_at"]:
        return f"{each['next_local_at'].replace('T', ' ')} on everybody's own clock"
    return f"{minute(each['next_at'])} UTC" if each["next_at"] else "-"


def _begins(each: Any) -> str:
    return f"; the next run: {_next(each)}" if each["next_at"] else ""


def _why(each: Any) -> str:
    is_of_event = each["problem"].startswith("missing_variable:entry.")
    return f"{each['problem']}; --data gives the event's properties" if is_of_event else str(each["problem"])


def _lacking(each: Any) -> str:
    version = "" if each["version"] == ONLY else f", version {each['version']}"
    made_from = f"{each['template']}, {each['channel']}{version}"
    return f"{of_people(each['people'])} would be skipped, for want of {each['variable']} ({made_from}): {_named(each)}"


def _named(lacking: Any) -> str:
    more = lacking["people"] - len(lacking["sample"])
    return ", ".join([*lacking["sample"], *([f"{more:,} more"] if more > 0 else [])])


_LONGEST = 200
_LEFT_OUT = {
    "not_in_segment": "not in the segment",
    "beyond_most_people": "in the segment, but not among its `most_people`",
    "app_holdout": "held out of all marketing",
    "held_out": "held out",
}
