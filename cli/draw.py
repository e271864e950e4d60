"""`sojourn draw`: a journey as a Mermaid diagram."""

from typing import Annotated

import typer
from rich.markup import escape

from cli import house
from cli.console import out
from settings import Settings


def draw(journey: Annotated[str, typer.Argument(help="the journey's name, or its file's")]) -> None:
    """Print a journey as a Mermaid diagram, for a pull request or the docs. Nothing needs to run."""
    out.print(escape(house.load(Settings().house).journey(journey).draw()))
