"""`sojourn topics`: what people can subscribe to."""

import tomllib
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.client import client
from cli.console import out
from journeys.language.errors import Invalid, Problem

app = typer.Typer(help="Topics that people can subscribe to, as the preference centre shows them.", no_args_is_help=True)


@app.command("list")
def list_topics() -> None:
    """List the topics, in the order of the page."""
    table = Table("name", "title", "channels", "needs a yes", "confirmed on", box=None)
    with client() as sojourn:
        for topic in sojourn.get("/v1/topics")["items"]:
            confirmed = ", ".join(topic["double_opt_in"]) or "-"
            needs = "cannot be left" if topic["is_required"] else "yes" if topic["needs_consent"] else "-"
            table.add_row(topic["name"], escape(topic["title"]), ", ".join(topic["channels"]), needs, confirmed)
    out.print(table)


@app.command("set")
def set_topics(file: Annotated[Path, typer.Argument(help="a TOML file with a [[topics]] for each, in the order of the page")]) -> None:
    """Replace all topics by those of a file. What people said of a topic holds, whether it is listed or not."""
    try:
        told = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Invalid([Problem("FILE", "bad_file", f"cannot be read as TOML: {error}")]) from error
    with client() as sojourn:
        known = sojourn.put("/v1/topics", {"topics": told.get("topics", [])})["items"]
    out.print(f"Set: {', '.join(topic['name'] for topic in known)}.")
