"""`sojourn pause` and `sojourn resume`: hold everything that leaves, of one journey or of the app, and let it go."""

from typing import Annotated, Any

import typer

from cli.client import Client, client
from cli.console import out
from cli.options import segment
from cli.progress import watch
from journeys.language.errors import Refused

Journey = Annotated[str, typer.Argument(help="the journey's name")]
All = Annotated[bool, typer.Option("--all", help="the whole app")]


def pause(journey: Journey = "", everything: All = False) -> None:
    """Hold everything that leaves. Events are accepted meanwhile, people enter and wait; nothing is lost."""
    with client() as sojourn:
        _tell(sojourn, journey, everything, "pause")
    out.print(f"Paused: nothing of {_words(journey)} leaves. `sojourn resume` lets it go.")


def resume(journey: Journey = "", everything: All = False) -> None:
    """Let what was held leave again: at once, fifty people a second."""
    with client() as sojourn:
        resumed = _tell(sojourn, journey, everything, "resume")
        out.print(f"Resumed: messages of {_words(journey)} leave again.")
        if resumed["job"] is not None:
            result = watch(sojourn, resumed["job"]["id"])
            out.print(f"{result['woken']} held people were woken.")


def _tell(sojourn: Client, journey: str, everything: bool, verb: str) -> Any:
    if bool(journey) == everything:
        raise Refused(f"say what to {verb}: a journey's name, or --all")
    return sojourn.post(f"/v1/{verb}" if everything else f"/v1/journeys/{segment(journey)}/{verb}")


def _words(journey: str) -> str:
    return journey or "this app"
