"""`sojourn migrate`: brings the schema to what this code needs."""

import asyncio
from typing import Annotated

import typer

from cli.console import out
from settings import Settings
from storage.migrations.runner import migrate as move


def migrate(
    revision: Annotated[str, typer.Argument(help="where to go: head, or an earlier revision to step back to")] = "head",
) -> None:
    """Bring the database to what this code needs. Safe to repeat, and to run beside the code of before."""
    asyncio.run(move(Settings().database_url, revision))
    out.print(f"The database is at {revision}.")
