"""What an import finds out before its first row: how the file is written, and whether its columns say what is needed. Pure."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activities.imports import pinpoint
from activities.imports.mapping import Layout, missing_in
from activities.imports.order import ImportOrder
from activities.imports.windows import Position, Spelling, look, read_window
from journeys.language.errors import Invalid, Problem

_LOOKED_AT = 200
# What begins with a zero or a plus is a code or a phone number.
_LOOKS = {"number": re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?"), "bool": re.compile("true|false", re.IGNORECASE)}


@dataclass(frozen=True)
class Lookalike:
    """A column that is kept as text, though all its values at the beginning are those of a type; `to` is where it goes."""

    column: str
    to: str
    type: str


@dataclass(frozen=True)
class Begun:
    """How a file is read, and where its first row is."""

    spelling: Spelling
    position: Position
    is_pinpoint: bool
    lookalikes: Sequence[Lookalike] = ()


def begin(window: bytes, order: ImportOrder, *, is_whole: bool) -> Begun:
    """Look at the beginning of a file. Raises Invalid where no row of it could be taken."""
    if not window.strip():
        raise Invalid([Problem("/file", "empty_file", "there is nothing in the file")])
    try:
        spelling, position = look(window, order.encoding, delimiter=order.delimiter, header=order.header)
    except (UnicodeDecodeError, csv.Error):
        words = "the first line cannot be read: save the file as UTF-8, or name its encoding"
        raise Invalid([Problem("/file", "unreadable_header", words)]) from None
    is_pinpoint = order.pinpoint or _looks_like_pinpoint(window, order, spelling, position, is_whole=is_whole)
    if spelling.form == "csv" and not is_pinpoint and (lacking := missing_in(order, spelling.header)):
        raise Invalid(lacking)
    is_plain = spelling.form == "csv" and not is_pinpoint and order.what != "list"
    lookalikes = _lookalikes(window, order, spelling, position, is_whole=is_whole) if is_plain else ()
    return Begun(spelling, position, is_pinpoint, lookalikes)


def _lookalikes(window: bytes, order: ImportOrder, spelling: Spelling, position: Position, *, is_whole: bool) -> Sequence[Lookalike]:
    layout = Layout(order, spelling.header)
    rows = read_window(window[position.offset :], position, spelling, is_last=is_whole, most_rows=_LOOKED_AT).rows
    found = []
    for column in spelling.header:
        place = layout.place_of(column)
        if place is None or place.target != layout.kept or place.convert is not None:
            continue
        kind = _kind_of(row.values.get(column) for row in rows)
        if kind is not None:
            found.append(Lookalike(column, ".".join([place.target, *place.path]), kind))
    return found


def _kind_of(values: Iterable[object]) -> str | None:
    said = [value for value in values if isinstance(value, str) and value]
    return next((kind for kind, form in _LOOKS.items() if said and all(form.fullmatch(value) for value in said)), None)


def _looks_like_pinpoint(window: bytes, order: ImportOrder, spelling: Spelling, position: Position, *, is_whole: bool) -> bool:
    if order.what != "users" or order.columns:
        return False
    rest = window[position.offset :]
    first = read_window(rest, position, spelling, is_last=is_whole, most_rows=1).rows
    values: Mapping[str, Any] = first[0].values if first and spelling.form == "ndjson" else {}
    return pinpoint.is_pinpoint(spelling.header, values)
