"""Messages to send in tests of adapters."""

import time
from typing import Any
from uuid import uuid4

from channels.base import Content, Outgoing

MAIL_PARTS = {
    "subject": "Welcome, Ann",
    "text": "Hello Ann,\nthis is it.\n.\nA line after a dot.\n.hidden",
    "html": "<p>Hello Ann, größer &amp; so</p>",
    "from": "Acme <hello@acme.example>",
    "reply_to": "help@acme.example",
}


def outgoing(channel: str, parts: dict[str, Any], **changes: Any) -> Outgoing:
    """A marketing message to Ann that may take ten seconds."""
    values: dict[str, Any] = {
        "message_id": uuid4(),
        "app": "demo",
        "address": "ann@example.org",
        "content": Content(channel, parts),
        "message_class": "marketing",
        "topic": "general",
        "deadline": time.monotonic() + 10,
    }
    return Outgoing(**(values | changes))


def mail(**changes: Any) -> Outgoing:
    """A mail to Ann; `parts` changes parts, anything else the message itself."""
    parts = MAIL_PARTS | changes.pop("parts", {})
    return outgoing("email", {name: value for name, value in parts.items() if value is not None}, **changes)
