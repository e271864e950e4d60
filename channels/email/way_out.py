"""The way out of marketing mail whose bodies are given as they are: {{ links.unsubscribe }} is the one thing that is filled in."""

import re
from collections.abc import Mapping
from html import escape
from typing import Any

PLACE = "{{ links.unsubscribe }}"
_PLACE = re.compile(r"\{\{\s*links\.unsubscribe\s*\}\}")
_BODIES = ("html", "text")


def bodies_without(parts: Mapping[str, Any]) -> list[str]:
    """The bodies of a mail in which its reader finds no way out."""
    return [name for name in _BODIES if parts.get(name) is not None and not _PLACE.search(parts[name])]


def with_way_out(parts: Mapping[str, Any], url: str) -> dict[str, Any]:
    """The parts with the address where the bodies ask for it."""
    written = {"html": escape(url), "text": url}
    filled = dict(parts)
    for name in _BODIES:
        if filled.get(name) is not None:
            filled[name] = written[name].join(_PLACE.split(filled[name]))
    return filled
