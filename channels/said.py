"""What a provider said, read by names. Nothing that it may say is an error here: what is not there, or is of another kind, is empty."""

import json
from typing import Any
from uuid import UUID

import orjson

_MOST_CHARACTERS = 300


class Said:
    """A value of JSON, or the fields of a form. A path leads through objects by names and through lists by places."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __contains__(self, name: str) -> bool:
        return isinstance(self._value, dict) and name in self._value

    def value(self, *path: str | int) -> Any:
        """What stands at the end of a path, or None."""
        found = self._value
        for step in path:
            found = _within(found, step)
        return found

    def at(self, *path: str | int) -> "Said":
        """The same, to be read further."""
        return Said(self.value(*path))

    def each(self, *path: str | int) -> list["Said"]:
        """The objects of a list, or the one object; what is none is left out."""
        found = self.value(*path)
        listed = found if isinstance(found, list) else [found]
        return [Said(one) for one in listed if isinstance(one, dict)]

    def word(self, *path: str | int) -> str:
        """A short text; a number as text."""
        found = self.value(*path)
        return "" if isinstance(found, bool) or not isinstance(found, str | int | float) else _writable(str(found))[:_MOST_CHARACTERS]

    def text(self, *path: str | int) -> str:
        """A text of any length."""
        found = self.value(*path)
        return _writable(found) if isinstance(found, str) else ""

    def words(self, *path: str | int) -> list[str]:
        """The short texts of a list."""
        found = self.value(*path)
        return [Said(one).word() for one in found] if isinstance(found, list) else []

    def our_id(self, *path: str | int) -> UUID | None:
        """Our message id, as the provider echoes it."""
        return our_id(self.word(*path))

    @property
    def raw(self) -> str:
        """All of it as text, to be kept. The standard library's ASCII also carries what UTF-8 cannot."""
        try:
            return json.dumps(self._value)
        except RecursionError:
            return '"nested too deeply to be kept"'


def parsed(written: bytes) -> Said:
    """Read JSON. Raises ValueError."""
    try:
        return Said(orjson.loads(written))
    except orjson.JSONDecodeError:
        # Half a character, where a text was cut in two, is an error to orjson and none to the standard library.
        try:
            return Said(json.loads(written))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def our_id(text: str) -> UUID | None:
    """Our message id in a text that is one; a Message-ID holds it before its @."""
    try:
        return UUID(text.strip().strip("<>").partition("@")[0])
    except ValueError:
        return None


def _within(found: Any, step: str | int) -> Any:
    if isinstance(found, dict):
        return found.get(step)
    return found[step] if isinstance(found, list) and isinstance(step, int) and step < len(found) else None


def _writable(text: str) -> str:
    """Without what Postgres and UTF-8 cannot hold: NUL, and halves of characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
