"""`sojourn send`: one message now, to a user or an address."""

from typing import Annotated

import typer
from rich.markup import escape

from cli.client import client
from cli.console import out
from cli.rehearse import read_json
from journeys.language.errors import Refused


def send(
    channel: Annotated[str, typer.Argument(help="email, sms, whatsapp, voice, push, in_app, webhook or custom")],
    template: Annotated[str, typer.Argument(help="the template's name")] = "",
    user: Annotated[str | None, typer.Option(help="to this user")] = None,
    address: Annotated[str | None, typer.Option(help="to this address, instead of a user")] = None,
    data: Annotated[str, typer.Option(help="what the template reads as entry.*, as JSON")] = "{}",
    content: Annotated[str, typer.Option(help='instead of a template, the fields of the channel as JSON: {"text": "Hello"}')] = "",
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: the same key sends once")] = None,
) -> None:
    """Send one transactional message now."""
    if bool(template) == bool(content):
        raise Refused("name a template, or give --content: one of the two")
    if (user is None) == (address is None):
        raise Refused("say to whom: --user or --address, one of the two")
    body = {"channel": channel, "user_id": user, "address": address}
    what = {"template": template, "data": read_json(data, "data")} if template else {"content": read_json(content, "content")}
    with client() as sojourn:
        answer = sojourn.post("/v1/messages", {**body, **what}, headers={"idempotency-key": key} if key else None)
    for message in answer["messages"]:
        out.print(
            escape(f"Accepted: message {message}. What became of it: `sojourn why {user}`." if user else f"Accepted: message {message}.")
        )
