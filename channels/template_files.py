"""A file of a template as its readers hand it on: one part, what a broken file is called, and TOML read once for all."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class BadFile(Exception):
    """A file of the template cannot be read. `file` names it, the message says why, without quoting it."""

    def __init__(self, file: str, why: str) -> None:
        self.file = file
        super().__init__(why)


@dataclass(frozen=True)
class Part:
    """One field of a channel's message: the Jinja source, the file it is from, and whether values in it are escaped for HTML or XML.

    A dotted name is a field within a field: `template.body.1`. `is_composed`: something was put in, so lines are not the file's.
    """

    name: str
    file: str
    source: str
    is_html: bool = False
    is_composed: bool = False


def toml(files: Mapping[str, str], file: str) -> dict[str, Any]:
    """Read one file as TOML. Raises BadFile with the line."""
    try:
        return tomllib.loads(files[file])
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        where = re.search(r"line \d+", str(error))
        raise BadFile(file, f"is not TOML{f' at {where[0]}' if where else ''}") from error


def nested(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Put dotted names where they belong: {"a.b": 1} is {"a": {"b": 1}}."""
    whole: dict[str, Any] = {}
    for name, value in parts.items():
        *way, last = name.split(".")
        inner = whole
        for step in way:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return whole
