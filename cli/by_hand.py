"""What `sojourn enrollments` does by hand: let a wait end, take somebody out, send an event; to one person, or to many after a count."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.client import Client, client
from cli.console import out
from cli.progress import watch
from cli.rehearse import read_json
from cli.whom import Held, Key, LastStep, Since, Until, Version, id_of
from journeys.language.errors import Refused

One = Annotated[
    str, typer.Argument(help="the enrollment's id, or a user id who is in one journey; leave it out and name --journey for many")
]
Journey = Annotated[str | None, typer.Option(help="everybody inside this journey whom the other options describe")]
Where = Annotated[str | None, typer.Option("--where", help="a condition of the journey language as JSON")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only count")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]
_DONE = {
    "taken_out": "taken out",
    "had_left": "had left",
    "told": "told",
    "not_running": "had no running workflow",
    "accepted": "got the event",
    "anonymous": "are anonymous, and got none",
}


def advance(
    which: One = "",
    journey: Journey = None,
    version: Version = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
    held: Held = None,
    last_step: LastStep = None,
    condition: Where = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Let the wait that is going on end now: of one person, or of many."""
    with client() as sojourn:
        if _is_one(which, journey):
            sojourn.post(f"/v1/enrollments/{id_of(sojourn, which)}/advance")
            out.print("Told: the wait ends now.")
        else:
            _many(sojourn, {"action": "advance"}, _where(journey, version, key, since, until, held, last_step, condition), dry_run, yes)


def take_out(
    which: One = "",
    reason: Annotated[str, typer.Option(help="shown in the timeline")] = "exited_by_hand",
    journey: Journey = None,
    version: Version = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
    held: Held = None,
    last_step: LastStep = None,
    condition: Where = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take one person, or many, out of a journey."""
    with client() as sojourn:
        if _is_one(which, journey):
            sojourn.post(f"/v1/enrollments/{id_of(sojourn, which)}/exit", {"reason": reason})
            out.print("Told: the enrollment ends now.")
        else:
            where = _where(journey, version, key, since, until, held, last_step, condition)
            _many(sojourn, {"action": "exit", "reason": reason}, where, dry_run, yes)


def event(
    name: Annotated[str, typer.Argument(help="the event's name")],
    journey: Annotated[str, typer.Option(help="everybody inside this journey whom the other options describe")],
    properties: Annotated[str, typer.Option(help="a JSON object")] = "{}",
    version: Version = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
    held: Held = None,
    last_step: LastStep = None,
    condition: Where = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Let an event come in for everybody who is meant (for one person: `sojourn users event`)."""
    asked = {"action": "event", "event": name, "properties": read_json(properties, "properties")}
    with client() as sojourn:
        _many(sojourn, asked, _where(journey, version, key, since, until, held, last_step, condition), dry_run, yes)


def _is_one(which: str, journey: str | None) -> bool:
    if bool(which) == (journey is not None):
        raise Refused("say who: an enrollment or a user, or --journey for many")
    return bool(which)


def _where(
    journey: str | None,
    version: int | None,
    key: str | None,
    since: str | None,
    until: str | None,
    held: bool | None,
    last_step: str | None,
    condition: str | None,
) -> dict[str, Any]:
    asked = {"journey": journey, "version": version, "key": key, "since": since, "until": until, "held": held, "last_step": last_step}
    return asked | {"condition": read_json(condition, "where") if condition else None}


def _many(sojourn: Client, asked: dict[str, Any], where: dict[str, Any], dry_run: bool, yes: bool) -> None:
    counted = sojourn.post("/v1/enrollments/bulk", {**asked, "where": where, "dry_run": True})
    words = f"{counted['people']} people are inside {where['journey']} and meant" + (
        ", fewer where --where does not hold" if where["condition"] else ""
    )
    if dry_run:
        out.print(escape(f"{words}. Nothing was done."))
        return
    if not yes and not typer.confirm(f"{words}. {asked['action']} them all?"):
        raise Refused("nothing was done")
    begun = sojourn.post("/v1/enrollments/bulk", {**asked, "where": where, "dry_run": False})
    result: dict[str, int] = watch(sojourn, begun["job"]["id"]) or {}
    out.print(
        "Done: " + (", ".join(f"{people} {_DONE.get(name, name)}" for name, people in sorted(result.items())) or "nobody was there") + "."
    )
