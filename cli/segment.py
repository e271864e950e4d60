"""`sojourn segment`: which segments there are, how many are in them, who, and why somebody is or is not."""

import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli import house
from cli.amounts import minute, of_people
from cli.client import Client, client
from cli.console import notes, out
from cli.options import Most
from cli.options import segment as part
from cli.progress import watch
from cli.rehearse import read_json
from journeys.language.codec import condition_to_json
from journeys.language.errors import NotFound, Refused
from settings import Settings

app = typer.Typer(help="Segments: list, count, preview, why somebody is in one, and lists of people.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="the segment's name")]
UserIds = Annotated[list[str], typer.Argument(help="your ids of users")]
At = Annotated[str | None, typer.Option("--at", help="as of which moment, such as 2026-11-01T00:00:00Z; now, if not given")]


@app.command("list")
def list_segments(most: Most = 50) -> None:
    """List them, by name."""
    table = Table("segment", "kind", "version", "who", box=None)
    with client() as sojourn:
        for each in sojourn.pages("/v1/segments", most):
            table.add_row(escape(each["name"]), each["kind"], str(each["version"] or "-"), escape(each["words"]))
    out.print(table if table.row_count else "None: no segment is published.")


@app.command()
def show(name: Name, as_json: Annotated[bool, typer.Option("--json", help="its condition as JSON")] = False) -> None:
    """Say what a segment is, and what it mentions."""
    with client() as sojourn:
        each = sojourn.get(f"/v1/segments/{part(name)}")
    if as_json:
        out.print(json.dumps(each["condition"], indent=2), markup=False)
        return
    for line in _shown(each):
        out.print(escape(line))


@app.command()
def versions(name: Name, most: Most = 20) -> None:
    """List its versions, the newest first."""
    table = Table("version", "published", "who", box=None)
    with client() as sojourn:
        for each in sojourn.pages(f"/v1/segments/{part(name)}/versions", most):
            table.add_row(f"{each['version']}{' live' if each['is_live'] else ''}", minute(each["published_at"]), escape(each["words"]))
    out.print(table if table.row_count else "None: it is a list of people.")


@app.command()
def activate(name: Name, version: Annotated[int, typer.Argument(min=1, help="which one is to be live")]) -> None:
    """Go back to an older version, or forward again. Files stay as they are: the next `sojourn apply` publishes what they say."""
    with client() as sojourn:
        each = sojourn.post(f"/v1/segments/{part(name)}/activate", {"version": version})
    out.print(escape(f"{each['name']} is version {each['version']} now: {each['words']}"))


@app.command()
def freeze(name: Name, into: Annotated[str, typer.Argument(help="the name of the list")], at: At = None) -> None:
    """Make a list of those who are in it, now or at a moment, and watch the job where that takes long."""
    with client() as sojourn:
        told = sojourn.post(f"/v1/segments/{part(name)}/freeze", {"name": into, "at": at})
        if told["kind"] == "freeze":
            watch(sojourn, told["id"])
        size = sojourn.get(f"/v1/segments/{part(into)}/size", exact=True)
    out.print(escape(f"{into}: {_size_words(size)}"))


@app.command()
def add(
    name: Name,
    user_ids: UserIds,
    new: Annotated[bool, typer.Option("--new", help="make the list, where there is none of this name")] = False,
) -> None:
    """Put users on a list. All of them, or nobody where an id is nobody's. `sojourn import list` takes those of a file."""
    with client() as sojourn:
        if new:
            sojourn.put(f"/v1/segments/{part(name)}", {"kind": "static"})
        told = sojourn.post(f"/v1/segments/{part(name)}/members", {"add": user_ids})
    out.print(escape(f"{of_people(told['added'])} put on {name}{_already(len(set(user_ids)) - told['added'], 'on')}."))


@app.command()
def remove(name: Name, user_ids: UserIds) -> None:
    """Take users off a list. All of them, or nobody where an id is nobody's."""
    with client() as sojourn:
        told = sojourn.post(f"/v1/segments/{part(name)}/members", {"remove": user_ids})
    out.print(escape(f"{of_people(told['removed'])} taken off {name}{_already(len(set(user_ids)) - told['removed'], 'not on')}."))


@app.command()
def size(name: Name, at: At = None) -> None:
    """Count who is in it: where that takes long an estimate first, and the exact number after it."""
    path = f"/v1/segments/{part(name)}/size"
    with client() as sojourn:
        told = sojourn.get(path, at=at)
        out.print(_size_words(told))
        _then_exactly(told, lambda: sojourn.get(path, at=told["at"], exact=True))


@app.command()
def preview(
    name: Annotated[str | None, typer.Argument(help="a segment of this folder, published or not")] = None,
    *,
    condition: Annotated[str | None, typer.Option(help="a condition of the journey language as JSON, instead of a name")] = None,
    at: At = None,
    sample: Annotated[int, typer.Option(min=0, max=100, help="how many people to show")] = 10,
) -> None:
    """Say who would be in a segment as it stands in your files, without publishing it: where that takes long an estimate first."""
    order = {"condition": _condition(name, condition), "at": at, "sample": sample}
    with client() as sojourn:
        told = sojourn.post("/v1/segments/preview", order)
        out.print(escape(f"{told['words']}: {_size_words(told)}"))
        for each in told["sample"]:
            out.print(escape(f"    {_person(each)}"))
        _warn(told["warnings"])
        counted = {**order, "at": told["at"], "sample": 0, "exact": True}
        _then_exactly(told, lambda: sojourn.post("/v1/segments/preview", counted))


@app.command()
def who(name: Name, user_id: Annotated[str | None, typer.Argument(help="why this user is in or not")] = None, *, at: At = None) -> None:
    """Say whether a user is in a segment, and by which part of the condition; without a user, list who is in it."""
    with client() as sojourn:
        if user_id is None:
            _list_members(sojourn, name, at)
        else:
            told = sojourn.get(f"/v1/segments/{part(name)}/members/{part(user_id)}", at=at)
            out.print(escape(f"{user_id} is {'in' if told['is_in'] else 'not in'} {name}"))
            for line, holds in _tree(told["explanation"], 1):
                out.print(escape(line), style="green" if holds else "red")


@app.command()
def explain(name: Name) -> None:
    """Show how Postgres would find everybody, and warn of what makes it slow. Nothing is read."""
    with client() as sojourn:
        told = sojourn.get(f"/v1/segments/{part(name)}/query")
    for line in told["lines"]:
        out.print(line, markup=False)
    out.print(f"Bounds: {told['longest_s']:g} seconds, {told['memory']} of memory for each step.")
    _warn(told["warnings"])


def _then_exactly(told: Any, ask: Callable[[], Any]) -> None:
    """After an estimate, count; where that takes too long the estimate is what there is."""
    if told["is_exact"]:
        return
    try:
        with notes.status("counting"):
            exact = ask()
    except Refused as refused:
        notes.print(escape(f"Not counted exactly: {refused}"))
        return
    out.print(_size_words(exact))


def _condition(name: str | None, condition: str | None) -> Any:
    if name is None and condition is not None:
        return read_json(condition, "condition")
    if name is None or condition is not None:
        raise Refused("name a segment of this folder, or give --condition: one of the two")
    known = {each.name: each for each in house.load(Settings().house).segments.values()}
    if name not in known:
        raise NotFound(f"no file here writes a segment {name}; there are {', '.join(sorted(known)) or 'none'}")
    return json.loads(condition_to_json(known[name].condition))


def _shown(each: Any) -> Iterator[str]:
    yield f"{each['name']} ({each['kind']}): {each['words']}"
    if each["frozen_from"]:
        version = f" version {each['frozen_version']}" if each["frozen_version"] else ""
        yield f"    those who were in {each['frozen_from']}{version} as of {each['frozen_at']}"
    if each["version"]:
        yield f"    version {each['version']}, published {each['published_at']}"
    mentioned = each["mentions"] or {}
    for what in ("events", "attributes", "segments", "reads"):
        if mentioned.get(what):
            yield f"    {what}: {', '.join(mentioned[what])}"
    if mentioned.get("moves_with_time"):
        yield "    people come in or go out as time passes"


def _list_members(sojourn: Client, name: str, at: str | None) -> None:
    found = False
    for each in sojourn.pages(f"/v1/segments/{part(name)}/members", 1000, at=at):
        found = True
        out.print(escape(_person(each)))
    if not found:
        out.print("Nobody is in it.")


def _person(each: Any) -> str:
    return each["user_id"] or "(anonymous)"


def _already(others: int, where: str) -> str:
    return f", {others:,} {'was' if others == 1 else 'were'} {where} it" if others else ""


def _size_words(told: Any) -> str:
    people = of_people(told["people"])
    return people if told["is_exact"] else f"about {people}, give or take {told['margin']:,} (an estimate)"


def _tree(explanation: Any, depth: int) -> Iterator[tuple[str, bool]]:
    meant = f"{explanation['segment']} means: " if explanation["segment"] else ""
    yield f"{'    ' * depth}{'yes' if explanation['holds'] else 'no '} {meant}{explanation['words']}", explanation["holds"]
    for each in explanation["parts"]:
        yield from _tree(each, depth + 1)


def _warn(warnings: list[str]) -> None:
    for words in warnings:
        notes.print(f"[yellow]slow:[/] {escape(words)}")
