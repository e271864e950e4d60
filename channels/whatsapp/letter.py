"""What a WhatsApp message says: a free text, or a template that WhatsApp has approved, filled in. Free text only answers people."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from channels.base import Content, Outgoing, Rejected

CHANNEL = "whatsapp"
# The window is of 24 hours; a minute is kept for the way to the provider.
WINDOW = timedelta(hours=24) - timedelta(minutes=1)
_MEDIA = ("image", "video", "document")


@dataclass(frozen=True)
class Approved:
    """An approved template. Variables by name (1, 2, 3 where they are numbered), buttons by their place; `content_sid` is Twilio's name."""

    name: str
    language: str
    body: Mapping[str, str] = field(default_factory=dict)
    header: Mapping[str, str] = field(default_factory=dict)
    buttons: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    content_sid: str = ""
    content_variables: Mapping[str, str] = field(default_factory=dict)


def window_is_open(replied_at: datetime | None, now: datetime) -> bool:
    """Tell whether a free text may answer somebody who last wrote to us then."""
    return replied_at is not None and now - replied_at < WINDOW


def fitting(content: Content, *, is_open: bool) -> Content:
    """Leave of text and template the one that is to be sent: the text while the window is open. Where there is one, it stays."""
    if content.channel != CHANNEL or not {"text", "template"} <= set(content.parts):
        return content
    dropped = "template" if is_open else "text"
    return replace(content, parts={name: part for name, part in content.parts.items() if name != dropped})


def letter_of(outgoing: Outgoing, *, longest: int) -> str | Approved:
    """Read the parts: a free text, else the approved template. Raises Rejected for what WhatsApp would refuse."""
    parts = outgoing.content.parts
    if "text" in parts:
        text = str(parts["text"])
        if not text.strip() or len(text) > longest:
            raise Rejected(f"the text must have 1 to {longest} characters")
        return text
    if not isinstance(parts.get("template"), Mapping):
        raise Rejected("the message has neither a text nor a template")
    return _approved(parts["template"])


def _approved(given: Mapping[str, Any]) -> Approved:
    for kind, link in given.get("header", {}).items():
        if kind in _MEDIA and not str(link).startswith("https://"):
            raise Rejected(f"the {kind} of the header must be an https address")
    return Approved(
        name=str(given.get("name") or ""),
        language=str(given.get("language") or ""),
        body=_filled(given.get("body", {}), "variable"),
        header=_filled(given.get("header", {}), "header"),
        buttons={place: _filled(button, f"button {place}") for place, button in given.get("buttons", {}).items()},
        content_sid=str(given.get("content_sid") or ""),
        content_variables=_filled(given.get("content_variables", {}), "variable"),
    )


def _filled(values: Mapping[str, Any], what: str) -> dict[str, str]:
    """WhatsApp takes no empty variable, no line break and no run of blanks in one."""
    filled = {str(name): " ".join(str(value).split()) for name, value in values.items()}
    for name, value in filled.items():
        if not value:
            raise Rejected(f"{what} {name} of the template is empty: give it a default")
    return filled
