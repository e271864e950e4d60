"""`sojourn users consents`: what somebody agreed to and withdrew, when, how, and what they were shown."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.amounts import minute
from cli.client import client
from cli.console import out
from cli.options import segment


def consents(user_id: Annotated[str, typer.Argument(help="your own id of the user")]) -> None:
    """Show the whole record, the oldest first, each entry with what is known of how it came."""
    with client() as sojourn:
        history = sojourn.get(f"/v1/users/{segment(user_id)}/consents")["history"]
    for entry in history:
        out.print(escape(_line(entry)))
    if not history:
        out.print("They have said nothing yet.")


def _line(entry: dict[str, Any]) -> str:
    channel = "every channel" if entry["channel"] == "*" else entry["channel"]
    topic = {"*": "every topic", "*marketing": "all marketing"}.get(entry["topic"], entry["topic"])
    line = f"{minute(entry['recorded_at'])}  {entry['state']}: {topic} by {channel}, {entry['source']}"
    told = [f"{name.replace('_', ' ')} {entry[name]}" for name in ("recorded_by", "page", "address", "ip", "user_agent") if entry[name]]
    return line + (f" ({', '.join(told)})" if told else "") + (f"\n    shown: {entry['text']}" if entry["text"] else "")
