"""in_app.toml, taken apart for the template language and put together again.

Texts may hold expressions; what decides when and how often a message is shown stands as it is written. Children that render import this
file, so it is light: what a message must be in the end is said in parts.py.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import orjson

SETTINGS = "settings"
PLACEMENTS = ("banner", "modal", "fullscreen", "inbox")
MOST_BUTTONS = 2
MOST_DATA = 20
_TEXTS = ("title", "body", "url", "image")
_CAPS = {"daily": 100, "session": 100, "total": 1000}
_EXPIRES = re.compile(r"([0-9]{1,4})([wdhm])")
_UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_LONGEST = timedelta(days=366)


def length_of(text: str) -> timedelta:
    """Read "30d", "2w", "1d 12h", as rehearsals write lengths of time. Raises ValueError."""
    found = [_EXPIRES.fullmatch(part) for part in text.split()]
    length = sum((int(part[1]) * _UNITS[part[2]] for part in found if part), timedelta(0))
    if not all(found) or not timedelta(0) < length <= _LONGEST:
        raise ValueError('write it like "30d", "12h" or "1d 12h", 366 days at most')
    return length


def sources(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Take in_app.toml apart: each text under its own name for the template language, the rest as JSON under `settings`.

    Raises ValueError with words for the author, where a field is unknown or not what it should be.
    """
    wrong = list(_wrong(table))
    if wrong:
        raise ValueError("; ".join(wrong))
    texts = {name: table[name] for name in _TEXTS if name in table}
    for place, button in enumerate(table.get("buttons", ())):
        texts |= {f"buttons.{place}.{name}": button[name] for name in ("text", "url") if name in button}
    texts |= {f"data.{name}": text for name, text in table.get("data", {}).items()}
    yield from ((name, text.strip()) for name, text in texts.items())
    settings = {name: table[name] for name in _SETTINGS if name in table}
    if settings:
        yield SETTINGS, _plain(orjson.dumps(settings).decode())


def assembled(parts: Mapping[str, str]) -> dict[str, Any]:
    """Put rendered texts back in their places: the inverse of `sources`. Links that came out empty are left out."""
    whole: dict[str, Any] = {name: parts[name] for name in _TEXTS if parts.get(name)}
    buttons: dict[str, dict[str, str]] = {}
    for name, text in parts.items():
        kind, _, rest = name.partition(".")
        if kind == "buttons" and text:
            place, _, field = rest.partition(".")
            buttons.setdefault(place, {})[field] = text
        if kind == "data" and rest:
            whole.setdefault("data", {})[rest] = text
    if buttons:
        whole["buttons"] = [buttons[place] for place in sorted(buttons)]
    return whole | (orjson.loads(parts[SETTINGS]) if SETTINGS in parts else {})


def _wrong(table: Mapping[str, Any]) -> Iterator[str]:
    """What an author has to mend. Lengths and links are known only when they are filled in."""
    if "body" not in table:
        yield "needs a text for body"
    for name, value in table.items():
        if name not in _RULES:
            yield f"unknown field {name}; known are {', '.join(_RULES)}"
        elif not _RULES[name][0](value):
            yield f"{name}: {_RULES[name][1]}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_table_of_texts(value: Any) -> bool:
    return (
        isinstance(value, dict) and len(value) <= MOST_DATA and all(isinstance(text, str) and len(key) > 0 for key, text in value.items())
    )


def _are_buttons(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_BUTTONS and all(_is_button(each) for each in value)


def _is_button(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and "text" in value
        and set(value) <= {"text", "url"}
        and all(isinstance(text, str) for text in value.values())
    )


def _is_length(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(length_of(value))
    except ValueError:
        return False


def _is_number(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _are_caps(value: Any) -> bool:
    return isinstance(value, dict) and all(name in _CAPS and _is_number(number, _CAPS[name]) for name, number in value.items())


def _is_display(value: Any) -> bool:
    if not isinstance(value, dict) or not set(value) <= {"event", "screen", "attributes"}:
        return False
    attributes = value.get("attributes", {})
    names = [value[name] for name in ("event", "screen") if name in value]
    return (
        all(isinstance(name, str) and name for name in names)
        and isinstance(attributes, dict)
        and all(map(_are_values, attributes.values()))
    )


def _are_values(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str | int | float | bool) for each in value)


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(_TEXTS, (_is_text, "write a text")),
    "buttons": (_are_buttons, f"write [[buttons]] with text and url, {MOST_BUTTONS} at most"),
    "data": (_is_table_of_texts, f"write [data] with a text for each name, {MOST_DATA} at most"),
    "placement": (lambda value: value in PLACEMENTS, f"write one of {', '.join(PLACEMENTS)}"),
    "inbox": (lambda value: isinstance(value, bool), "write true or false"),
    "priority": (lambda value: _is_number(value, 100), "write a number from 1, which comes first, to 100"),
    "expires": (_is_length, 'write it like "30d", "12h" or "1d 12h", 366 days at most'),
    "caps": (_are_caps, "write [caps] with daily and session (100 at most) and total (1,000 at most)"),
    "display": (_is_display, 'write [display] with event, screen, and [display.attributes] like plan = ["free", "trial"]'),
}
_SETTINGS = ("placement", "inbox", "priority", "expires", "caps", "display")


def _plain(settings: str) -> str:
    if any(mark in settings for mark in ("{{", "{%", "{#")):
        raise ValueError("placement, expires, caps and display hold no expressions: write them out")
    return settings
