"""Options that several commands share."""

from typing import Annotated
from urllib.parse import quote

import typer

Most = Annotated[int, typer.Option(min=1, max=100_000, help="how many at most")]


def segment(name: str) -> str:
    """A name as one segment of a URL's path."""
    return quote(name, safe="")
