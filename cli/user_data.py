"""`sojourn users export` and `erase`: a copy of everything that is held about somebody, and removing them for good."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.markup import escape

from cli.client import client
from cli.console import notes, out
from cli.options import segment

UserId = Annotated[str, typer.Argument(help="your own id of the user")]


def export(user_id: UserId, to: Annotated[Path | None, typer.Option(help="write it to this file instead")] = None) -> None:
    """Print everything that is held about a user, as JSON."""
    with client() as sojourn:
        told = orjson.dumps(sojourn.get(f"/v1/users/{segment(user_id)}/export"), option=orjson.OPT_INDENT_2)
    if to is None:
        out.file.write(told.decode() + "\n")
        return
    to.write_bytes(told)
    notes.print(escape(f"Written to {to} ({len(told):,} bytes)."))


def erase(user_id: UserId, yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False) -> None:
    """Remove a user for good: everything that says who they are and what they did. It cannot be undone."""
    with client() as sojourn:
        sojourn.get(f"/v1/users/{segment(user_id)}")
        if not yes and not typer.confirm(f"Remove {user_id} and everything that is known of them, for good?"):
            raise typer.Exit(1)
        erasure = sojourn.delete(f"/v1/users/{segment(user_id)}")
    counted = ", ".join(f"{number} {table.replace('_', ' ')}" for table, number in sorted(erasure["removed"].items()) if number)
    out.print(escape(f"Removed: {counted}."))
    out.print(f"Temporal deletes the workflows; GET /v1/erasures/{erasure['id']} says when all is finished.")
