"""`sojourn enrollments move`: who can go on in another version is asked first, shown, and only then done."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.client import Client, client
from cli.console import out
from cli.options import segment
from cli.progress import watch
from cli.whom import LastStep, id_of
from journeys.language.errors import Invalid, Problem, Refused
from journeys.language.moving import REASONS


def move(
    journey: Annotated[str, typer.Argument(help="the journey's name")],
    to: Annotated[int, typer.Option(min=1, help="the version in which they go on")],
    from_: Annotated[int | None, typer.Option("--from", min=1, help="only those in this version")] = None,
    steps: Annotated[list[str], typer.Option("--map", help="old_step=new_step; a step that is not named keeps its id")] = [],  # noqa: B006 - typer reads it
    at: Annotated[str | None, typer.Option(help="only those who stand at this step")] = None,
    last_step: LastStep = None,
    only: Annotated[str | None, typer.Option(help="only this enrollment, or this user's in the journey")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say who can be moved and who cannot")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Move people who are inside to another version. Nothing that was sent is sent again; a wait that goes on keeps its moment."""
    asked = {"to": to, "steps": _map(steps)}
    with client() as sojourn:
        if only is not None:
            _one(sojourn, journey, only, asked, dry_run)
        else:
            _all(sojourn, journey, {**asked, "from": from_, "at": at, "last_step": last_step}, dry_run, yes)


def _one(sojourn: Client, journey: str, only: str, asked: dict[str, Any], dry_run: bool) -> None:
    found = id_of(sojourn, only, journey)
    answer = sojourn.post(f"/v1/enrollments/{found}/move", {**asked, "dry_run": dry_run})
    if answer["told"] is None:
        words = "cannot be moved: " + answer["words"] if answer["reason"] else f"would go on at {answer['to']}"
        out.print(escape(f"Standing at {answer['step']}, they {words}. Nothing was done."))
    else:
        out.print(
            escape(f"Told: they go on in version {asked['to']} at {answer['to']}" + (", after the send." if answer["reason"] else "."))
        )


def _all(sojourn: Client, journey: str, asked: dict[str, Any], dry_run: bool, yes: bool) -> None:
    path = f"/v1/journeys/{segment(journey)}/moves"
    looked = sojourn.post(path, {**asked, "dry_run": True})
    result = watch(sojourn, looked["job"]["id"]) or {"can": [], "cannot": []}
    people = sum(line["people"] for line in result["can"])
    _show(result)
    if dry_run or not people:
        out.print("Nothing was done." if people else "Nobody can be moved. Nothing was done.")
        return
    if not yes and not typer.confirm(f"Move {people} people to version {asked['to']}?"):
        raise Refused("nothing was done")
    begun = sojourn.post(path, {**asked, "dry_run": False, "fingerprint": looked["fingerprint"]})
    moved = watch(sojourn, begun["job"]["id"]) or {}
    out.print(f"{moved.get('moved', 0)} people go on in version {asked['to']}.")
    if moved.get("waiting"):
        out.print(f"{moved['waiting']} are in the middle of a send, and move when it has ended.")
    for reason, number in sorted(moved.get("refused_since", {}).items()):
        out.print(escape(f"{number} could not be moved any more: {REASONS.get(reason, reason)}"))


def _show(result: dict[str, Any]) -> None:
    for line in result["can"]:
        where = line["step"] if line["step"] == line["to"] else f"{line['step']} -> {line['to']}"
        out.print(escape(f"  {line['people']:>8}  {where}"))
    for line in result["cannot"]:
        out.print(escape(f"  {line['people']:>8}  {line['step'] or '-'}  cannot be moved: {REASONS.get(line['reason'], line['reason'])}"))


def _map(steps: list[str]) -> dict[str, str]:
    pairs = [step.partition("=") for step in steps]
    if any(not old or not new for old, _, new in pairs):
        raise Invalid([Problem("--map", "bad_map", "write it as old_step=new_step")])
    return {old: new for old, _, new in pairs}
