"""What a template says on WhatsApp: whatsapp.txt is a free text, whatsapp.toml fills in a template that WhatsApp has approved.

name = "order_shipped"                    # as WhatsApp knows it
language = "en_GB"
body = ["{{ entry.name }}", "..."]        # its variables in order, or a table of their names
content_sid = "HX..."                     # the same template as Twilio knows it
content_variables = [...]                 # all of its variables at Twilio, where they are more than those of the body

[header]
image = "https://..."                     # or text, video, document

[buttons]
0 = { url = "{{ entry.order_id }}" }      # what the first button's address ends with; or payload
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from channels.template_files import BadFile, Part, toml

TEXT_FILE = "whatsapp.txt"
TABLE_FILE = "whatsapp.toml"
_FIELDS = frozenset({"name", "language", "body", "content_sid", "content_variables", "header", "buttons"})
_PATTERNS = {
    "name": (r"[a-z0-9_]{1,512}", "small letters, digits and _, as WhatsApp shows it"),
    "language": (r"[a-z]{2,3}(_[A-Z]{2})?", "a code of WhatsApp's, such as en or en_GB"),
    "content_sid": (r"HX[0-9a-f]{32}", "HX and 32 digits, as Twilio shows it"),
}
_VARIABLE = re.compile(r"[a-z0-9_]{1,60}")
_HEADERS = ("text", "image", "video", "document")
_BUTTONS = ("url", "payload")


def parts(files: Mapping[str, str]) -> list[Part]:
    """The free text, the approved template, or both. Raises BadFile."""
    found = [Part("text", TEXT_FILE, files[TEXT_FILE].strip())] if TEXT_FILE in files else []
    return found + (list(_approved(toml(files, TABLE_FILE))) if TABLE_FILE in files else [])


def _approved(table: Mapping[str, Any]) -> Iterator[Part]:
    if unknown := sorted(set(table) - _FIELDS):
        raise BadFile(TABLE_FILE, f"unknown field {', '.join(unknown)}; known are {', '.join(sorted(_FIELDS))}")
    for field, (pattern, words) in _PATTERNS.items():
        if field in table or field != "content_sid":
            yield _part(field, _word(table, field, pattern, words))
    for field in ("body", "content_variables"):
        yield from (_part(f"{field}.{name}", source) for name, source in _variables(table, field).items())
    yield from _header(table.get("header", {}))
    yield from _buttons(table.get("buttons", {}))
    if "content_sid" in table and "content_variables" not in table and ("header" in table or "buttons" in table):
        raise BadFile(
            TABLE_FILE, "Twilio numbers the variables of header and buttons with the body's: write all of them as content_variables"
        )


def _part(name: str, source: str) -> Part:
    return Part(f"template.{name}", TABLE_FILE, source.strip())


def _word(table: Mapping[str, Any], field: str, pattern: str, words: str) -> str:
    found = table.get(field)
    if not isinstance(found, str) or not re.fullmatch(pattern, found):
        raise BadFile(TABLE_FILE, f"{field} must be {words}")
    return found


def _variables(table: Mapping[str, Any], field: str) -> dict[str, str]:
    """By name; those of a list are named 1, 2, 3 ..., as WhatsApp and Twilio do."""
    found = table.get(field, {})
    named = {str(place): source for place, source in enumerate(found, 1)} if isinstance(found, list) else found
    if not (isinstance(named, dict) and all(_VARIABLE.fullmatch(name) and isinstance(source, str) for name, source in named.items())):
        raise BadFile(TABLE_FILE, f"{field} must be a list of texts, or a table of texts by the variable's name")
    return named


def _header(header: object) -> Iterator[Part]:
    if header == {}:
        return
    kind, source = _only(header, _HEADERS)
    if kind is None:
        raise BadFile(TABLE_FILE, f"[header] must have one of {', '.join(_HEADERS)}, and a text for it")
    yield _part(f"header.{kind}", source)


def _buttons(buttons: object) -> Iterator[Part]:
    for place, button in buttons.items() if isinstance(buttons, dict) else [("", None)]:
        kind, source = _only(button, _BUTTONS)
        if kind is None or not re.fullmatch(r"[0-9]", place):
            raise BadFile(TABLE_FILE, "[buttons] must say by the button's place, from 0, either url or payload, with a text")
        yield _part(f"buttons.{place}.{kind}", source)


def _only(table: object, names: Sequence[str]) -> tuple[str | None, str]:
    """The one field that a table has, if it is one of `names` and a text."""
    found = list(table.items()) if isinstance(table, dict) else []
    if len(found) != 1 or found[0][0] not in names or not isinstance(found[0][1], str):
        return None, ""
    name, text = found[0]
    return name, text
