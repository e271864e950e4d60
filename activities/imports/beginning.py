"""What an import finds out before its first row: how the file is written, and whether its columns say what is needed. Pure."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from activities.imports import pinpoint
from activities.imports.mapping import missing_in
from activities.imports.order import ImportOrder
from activities.imports.windows import Position, Spelling, look, read_window
from journeys.language.errors import Invalid, Problem


@dataclass(frozen=True)
class Begun:
    """How a file is read, and where its first row is."""

    spelling: Spelling
    position: Position
    is_pinpoint: bool


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
    return Begun(spelling, position, is_pinpoint)


def _looks_like_pinpoint(window: bytes, order: ImportOrder, spelling: Spelling, position: Position, *, is_whole: bool) -> bool:
    if order.what != "users" or order.columns:
        return False
    rest = window[position.offset :]
    first = read_window(rest, position, spelling, is_last=is_whole, most_rows=1).rows
    values: Mapping[str, Any] = first[0].values if first and spelling.form == "ndjson" else {}
    return pinpoint.is_pinpoint(spelling.header, values)
