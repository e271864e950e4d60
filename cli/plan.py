"""`sojourn plan` and `sojourn apply`: what publishing would change, and publishing."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from cli import house
from cli.client import client
from cli.console import out
from settings import Settings

AS_LIVE = "Nothing differs from what is live."
SIGNS = {"new": "+", "changed": "~", "retired": "-", "back": "+", "same": "="}


def plan() -> None:
    """Say what `apply` would change. Nothing is changed."""
    publication = house.load(Settings().house).publication()
    with client() as sojourn:
        _show(sojourn.post("/v1/journeys/plan", publication), done=False)


def apply(
    paused: Annotated[bool, typer.Option("--paused", help="publish without entries: nobody enters until the next apply")] = False,
) -> None:
    """Publish the journeys and templates of this folder. People inside finish the version they entered."""
    publication = house.load(Settings().house).publication()
    with client() as sojourn:
        _show(sojourn.post("/v1/journeys/apply", {**publication, "paused": paused}), done=True)
    if paused:
        out.print("Nobody enters: published with --paused.")


def _show(answer: Any, *, done: bool) -> None:
    journeys = [each for each in answer["journeys"] if each["change"] != "same"]
    templates = [each for each in answer["templates"] if each["change"] != "same"]
    if not journeys and not templates:
        out.print(AS_LIVE)
        return
    for each in journeys:
        out.print(escape(_journey(each)))
    for each in templates:
        out.print(f"{SIGNS[each['change']]} template {each['name']} ({each['change']})")
    if not done:
        out.print("Publish it with `sojourn apply`.")


def _journey(change: Any) -> str:
    lines = [f"{SIGNS[change['change']]} {change['name']} ({change['change']}): {change['entry']}"]
    if change["inside"]:
        lines.append(f"    {_people(change['inside'])} the version they entered")
    if change["change"] == "new":
        lines.append("    a new name: whoever was in a journey of another name may enter this one")
    return "\n".join(lines + [f"    {words}" for words in change["moved"]])


def _people(inside: int) -> str:
    return "1 person is inside and finishes" if inside == 1 else f"{inside} people are inside and finish"
