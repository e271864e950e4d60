"""`sojourn plan` and `sojourn apply`: what publishing would change, and publishing exactly that."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli import house
from cli.client import Client, client
from cli.console import out
from cli.last_week import last_week
from cli.plan_words import AS_LIVE, differs, shown
from journeys.language.errors import Invalid, NotFound, Problem, Refused
from settings import Settings

Paused = Annotated[bool, typer.Option("--paused", help="publish without entries: nobody enters until the next apply")]


def plan(
    to: Annotated[Path | None, typer.Option("--out", help="keep the plan in a file, for `sojourn apply FILE`")] = None,
    history: Annotated[bool, typer.Option(help="also say what it would have sent last week")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    paused: Paused = False,
) -> None:
    """Say what `apply` would change. Nothing is changed."""
    with client() as sojourn:
        publication, answer = _planned(sojourn, paused=paused)
        if as_json:
            out.print(json.dumps(answer, indent=2), markup=False)
        else:
            _show(answer, last_week(sojourn, publication, answer) if history else {})
            if differs(answer) and to is None:
                out.print("Publish it with `sojourn apply`.")
    if to is not None:
        to.write_text(json.dumps({**publication, "plan": _agreed(answer)}))
        out.print(escape(f"Kept: publish exactly this with `sojourn apply {to}`."))


def apply(
    file: Annotated[Path | None, typer.Argument(help="a plan that `sojourn plan --out` kept; else what this folder holds")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    paused: Paused = False,
) -> None:
    """Publish what this folder holds, exactly as planned. People inside finish the version they entered; campaigns are only published.

    At a terminal it shows the plan and asks. Where nobody can be asked it goes ahead, unless journeys would be retired: that needs --yes.
    """
    with client() as sojourn:
        if file is not None:
            publication = _kept(file, paused=paused)
        else:
            publication, answer = _planned(sojourn, paused=paused)
            _show(answer, {})
            if not differs(answer):
                return
            if not yes:
                _ask(answer)
            publication["plan"] = _agreed(answer)
        applied = sojourn.post("/v1/journeys/apply", publication)
    _tell(applied, publication)


def _planned(sojourn: Client, *, paused: bool) -> tuple[dict[str, Any], Any]:
    publication = {**house.load(Settings().house).publication(), "paused": paused}
    return publication, sojourn.post("/v1/journeys/plan", publication)


def _agreed(answer: Any) -> Any:
    return {"fingerprint": answer["fingerprint"], "basis": answer["basis"]}


def _kept(file: Path, *, paused: bool) -> dict[str, Any]:
    if not file.is_file():
        raise NotFound(f"there is no plan {file}: make it with `sojourn plan --out {file}`")
    if paused:
        raise Refused("a kept plan says itself whether it is paused: make it with `sojourn plan --paused --out`")
    try:
        kept: dict[str, Any] = json.loads(file.read_text())
    except ValueError as error:
        raise Invalid([Problem(str(file), "no_plan", "it is no plan that `sojourn plan --out` kept")]) from error
    return kept


def _ask(answer: Any) -> None:
    retired = [each["name"] for each in answer["journeys"] if each["change"] == "retired"]
    if sys.stdin.isatty():
        if not typer.confirm("Publish this?"):
            raise Refused("nothing was published")
    elif retired:
        raise Refused(f"this would retire {', '.join(retired)}, and there is nobody to ask: say --yes if that is meant")


def _show(answer: Any, weeks: dict[str, str]) -> None:
    for line, style in shown(answer, weeks):
        out.print(escape(line), style=style)


def _tell(applied: Any, publication: Any) -> None:
    kinds = ("journeys", "segments", "sources", "campaigns", "templates")
    changed = sum(each["change"] != "same" for kind in kinds for each in applied[kind])
    out.print(f"Published: {changed} {'change' if changed == 1 else 'changes'}." if changed else AS_LIVE)
    if publication.get("paused"):
        out.print("Nobody enters: published with --paused.")
