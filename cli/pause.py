"""`sojourn pause` and `sojourn resume`: hold everything that leaves, of one journey or of the app, and let it go."""

from typing import Annotated

import typer

from cli.client import client
from cli.console import out
from journeys.language.errors import Refused

Journey = Annotated[str, typer.Argument(help="the journey's name")]
All = Annotated[bool, typer.Option("--all", help="the whole app")]


def pause(journey: Journey = "", everything: All = False) -> None:
    """Hold everything that leaves. Events are accepted meanwhile, people enter and wait; nothing is lost."""
    out.print(f"Paused: nothing of {_tell(journey, everything, 'pause')} leaves. `sojourn resume` lets it go.")


def resume(journey: Journey = "", everything: All = False) -> None:
    """Let what was held leave again."""
    out.print(f"Resumed: messages of {_tell(journey, everything, 'resume')} leave again; what was held leaves within five minutes.")


def _tell(journey: str, everything: bool, verb: str) -> str:
    if bool(journey) == everything:
        raise Refused(f"say what to {verb}: a journey's name, or --all")
    with client() as sojourn:
        sojourn.post(f"/v1/{verb}" if everything else f"/v1/journeys/{journey}/{verb}")
    return "this app" if everything else journey
