"""`sojourn sandbox`: what would have left, as its receivers would see it."""

import re
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.amounts import second
from cli.client import client
from cli.console import out
from cli.options import Most

_SHOWN = ("subject", "title", "text", "ssml", "body", "url")
_OF_PUSH = ("image", "badge", "sound", "ttl", "collapse", "silent", "priority", "optional", "data")


def sandbox(
    channel: Annotated[str | None, typer.Option(help="only this channel")] = None,
    most: Most = 20,
) -> None:
    """List kept messages, the newest first. The same with pictures: the page /sandbox."""
    with client() as sojourn:
        for message in sojourn.pages("/v1/sandbox/messages", most, channel=channel):
            out.print(escape(_words(message)))


def _words(message: Any) -> str:
    kept = second(message["kept_at"])
    twice = f"  SENT {message['sends']} TIMES" if message["sends"] > 1 else ""
    head = f"{kept}  {message['channel']} to {message['recipient']}{twice}"
    parts = [str(message["content"][name]) for name in _SHOWN if message["content"].get(name)]
    if message["channel"] == "push":
        parts += [f"{name}: {message['content'][name]}" for name in _OF_PUSH if name in message["content"]]
    parts += [f"{name}: {text}" for name, text in message["content"].get("headers", {}).items()]
    parts += [f"tag {name}: {text}" for name, text in message["content"].get("tags", {}).items()]
    parts += [
        f"attached: {file['name']} ({file['type']}, {file['size_bytes']:,} bytes)" for file in message["content"].get("attachments", ())
    ]
    if isinstance(message["content"].get("template"), dict):
        parts.append(_template_words(message["content"]["template"]))
    return "\n".join([head, *(f"    {line}" for part in parts for line in _lines(part))])


def _template_words(template: Any) -> str:
    """An approved template of WhatsApp, as far as we know it."""
    filled = {**template.get("header", {}), **template.get("body", {})}
    return "\n".join([f"template {template['name']} ({template['language']})", *(f"{name}: {value}" for name, value in filled.items())])


def _lines(text: str) -> list[str]:
    return [line for line in re.split(r"\s*\n\s*", text.strip()) if line][:12]
