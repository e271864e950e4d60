"""`sojourn users event`: let an event of one person come in, by the way that every event comes."""

from typing import Annotated
from uuid import uuid4

import typer
from rich.markup import escape

from cli.client import client
from cli.console import out
from cli.rehearse import read_json


def event(
    user_id: Annotated[str, typer.Argument(help="your own id of the user")],
    name: Annotated[str, typer.Argument(help="the event's name")],
    properties: Annotated[str, typer.Option(help="a JSON object")] = "{}",
) -> None:
    """Let an event come in for a user, as if they had just done it."""
    item = {"messageId": f"by-hand-{uuid4()}", "userId": user_id, "event": name, "properties": read_json(properties, "properties")}
    with client() as sojourn:
        sojourn.post("/v1/track", item)
    out.print(escape(f"Accepted: {user_id} did {name}."))
