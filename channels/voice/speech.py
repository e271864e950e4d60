"""What is said in a call: plain text, or SSML of the tags that every provider here speaks. Built anew from what was understood of it.

Nothing that stands in a text becomes a tag, and nothing but a known tag of the SSML leaves: no value can end one sentence and begin
another instruction.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from xml.etree import ElementTree as ET

from channels.base import Rejected

# What Twilio's <Say> and Polly's standard voices both take.
TAGS: Mapping[str, frozenset[str]] = {
    "break": frozenset({"strength", "time"}),
    "emphasis": frozenset({"level"}),
    "lang": frozenset({"xml:lang"}),
    "p": frozenset(),
    "phoneme": frozenset({"alphabet", "ph"}),
    "prosody": frozenset({"volume", "rate", "pitch"}),
    "s": frozenset(),
    "say-as": frozenset({"interpret-as", "format"}),
    "sub": frozenset({"alias"}),
    "w": frozenset({"role"}),
}
_LONGEST = 6000
_DEEPEST = 20
_SYNTHESIS = "{http://www.w3.org/2001/10/synthesis}"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def quoted(value: str) -> str:
    """The value of an attribute, as it stands in a document."""
    return f'"{escape(value)}"'


class BadSsml(Exception):
    """SSML that cannot be spoken. The message says why, for its author, without quoting values."""


@dataclass(frozen=True)
class Speech:
    """`marked` is escaped text or the inside of <speak>, to be put into a document; `plain` stands where there are no tags."""

    marked: str
    plain: str | None
    voice: str | None = None
    language: str | None = None

    @property
    def ssml(self) -> str:
        return f"<speak>{self.marked}</speak>"


def speech_of(parts: Mapping[str, Any]) -> Speech:
    """Read the parts of a voice message. Raises Rejected."""
    voice, language = parts.get("voice"), parts.get("language")
    if "ssml" in parts:
        try:
            return Speech(spoken(str(parts["ssml"])), None, voice, language)
        except BadSsml as error:
            raise Rejected(f"the SSML cannot be spoken: {error}") from error
    text = " ".join(_NOT_XML.sub("", str(parts.get("text") or "")).split())
    if not text:
        raise Rejected("there is nothing to say")
    return Speech(_text(text), text, voice, language)


def spoken(ssml: str) -> str:
    """The inside of <speak>, written anew. Raises BadSsml."""
    source = _NOT_XML.sub("", ssml).strip()
    if len(source) > _LONGEST:
        raise BadSsml(f"it has more than {_LONGEST} characters")
    if "<!" in source or "<?" in source:
        raise BadSsml("it has a declaration, a comment or a section: leave it out")
    try:
        root = ET.fromstring(source)  # noqa: S314 - without declarations there are no entities to expand
    except ET.ParseError as error:
        line, column = error.position
        raise BadSsml(f"it is not well-formed at line {line}, column {column}") from error
    if _name(root) != "speak":
        raise BadSsml("it must begin with <speak>")
    if not "".join(root.itertext()).strip():
        raise BadSsml("there is nothing to say")
    inside, language = _inside(root, 1), root.get(_LANG)
    return f"<lang xml:lang={quoted(language)}>{inside}</lang>" if language else inside


def _inside(element: ET.Element, depth: int) -> str:
    if depth > _DEEPEST:
        raise BadSsml(f"its tags are nested more than {_DEEPEST} deep")
    return _text(element.text) + "".join(_tag(child, depth) + _text(child.tail) for child in element)


def _tag(element: ET.Element, depth: int) -> str:
    name = _name(element)
    if name not in TAGS:
        raise BadSsml(f"only these tags are spoken everywhere: {', '.join(sorted(TAGS))}")
    given = {"xml:lang" if key == _LANG else key: value for key, value in element.attrib.items()}
    if set(given) - TAGS[name]:
        raise BadSsml(f"<{name}> takes only {', '.join(sorted(TAGS[name])) or 'no attributes'}")
    attributes = "".join(f" {key}={quoted(value)}" for key, value in given.items())
    inside = _inside(element, depth + 1)
    return f"<{name}{attributes}>{inside}</{name}>" if inside else f"<{name}{attributes}/>"


def _name(element: ET.Element) -> str:
    return str(element.tag).removeprefix(_SYNTHESIS)


def _text(text: str | None) -> str:
    return escape(text or "", quote=False)
