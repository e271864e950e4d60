"""Reads rows out of a window of a file's bytes, from the start of a line on; says how far it came, so that the next window begins there.

A row that cannot be read costs only itself: reading goes on with the line after the one on which it began. Pure.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import orjson

MOST_ROW_BYTES = 1024 * 1024
WINDOW_BYTES = 4 * MOST_ROW_BYTES
Form = Literal["csv", "ndjson"]
csv.field_size_limit(MOST_ROW_BYTES)


class Row(NamedTuple):
    """One row: the line on which it begins, and its values by column."""

    line: int
    values: dict[str, Any]


class BadRow(NamedTuple):
    """Why a row was not taken. `field` is the column, or empty; `message` is the remedy. Nothing of what stands in the row."""

    line: int
    field: str
    code: str
    message: str


@dataclass(frozen=True)
class Spelling:
    """How a file is written. `header`: the columns of a CSV file, in their order; a name may come again, its values are a list then."""

    form: Form
    header: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str = "utf-8"

    @cached_property
    def repeated(self) -> frozenset[str]:
        return frozenset(name for name, times in Counter(self.header).items() if times > 1)


@dataclass(frozen=True)
class Position:
    """Where reading stands: the offset of a line's first byte, and that line's number from 1.

    `is_skipping`: in the middle of a line that is too long.
    """

    offset: int = 0
    line: int = 1
    is_skipping: bool = False


@dataclass
class Found:
    """What one window gave, and where the next begins."""

    rows: list[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    position: Position = field(default_factory=Position)


_TOO_LONG = ("row_too_long", f"a row may have {MOST_ROW_BYTES:,} bytes at most")
_NOT_TEXT = ("wrong_encoding", "this is not in the encoding of the file: save it as UTF-8, or name its encoding")
_NOT_JSON = ("not_json", "one JSON object a line")
_NOT_CSV = ("not_csv", 'a cell with quotes in it stands in quotes, and these are doubled: "5"" pipe"')


def read_window(window: bytes, position: Position, spelling: Spelling, *, is_last: bool, most_rows: int) -> Found:
    """Read at most `most_rows` rows. `window` begins at the position; `is_last`: the file ends with it."""
    if position.is_skipping:
        return _skip(window, position, is_last=is_last)
    lines = _Lines(window, position, spelling.encoding, is_last=is_last)
    found = Found()
    reader = _read_csv if spelling.form == "csv" else _read_json
    reader(lines, spelling, found, most_rows)
    found.position = lines.position()
    if len(window) - lines.start > MOST_ROW_BYTES and window.find(b"\n", lines.start) < 0:
        found.bad.append(BadRow(lines.line, "", *_TOO_LONG))
        found.position = Position(position.offset + len(window), lines.line, is_skipping=True)
    return found


def _skip(window: bytes, position: Position, *, is_last: bool) -> Found:
    end = window.find(b"\n") + 1
    if end:
        return Found(position=Position(position.offset + end, position.line + 1))
    return Found(position=Position(position.offset + len(window), position.line + is_last, is_skipping=not is_last))


class _Incomplete(Exception):
    """The window ends within a row: the next one begins with it."""


class _TooLong(Exception):
    """A row goes on and on, as after a quote that nobody closes."""


class _Lines:
    """The lines of a window one by one, with what is needed to come back to where a row began."""

    def __init__(self, window: bytes, position: Position, encoding: str, *, is_last: bool) -> None:
        self._window = window
        self._offset = position.offset
        self._encoding = encoding
        self._is_last = is_last
        self.start, self.line = 0, position.line
        self._at, self._line = 0, position.line

    def position(self) -> Position:
        return Position(self._offset + self.start, self.line)

    def has_more(self) -> bool:
        return self.start < len(self._window)

    def take(self) -> bytes:
        """The next line, with its end. Raises _Incomplete, _TooLong."""
        end = self._window.find(b"\n", self._at) + 1
        if not end:
            if not self._is_last or self._at == len(self._window):
                raise _Incomplete
            end = len(self._window)
        if end - self.start > MOST_ROW_BYTES:
            raise _TooLong
        taken = self._window[self._at : end]
        self._at, self._line = end, self._line + 1
        return taken

    def texts(self) -> Iterator[str]:
        """Lines as text; what is not in the encoding becomes lone surrogates, which no row may have."""
        while True:
            try:
                taken = self.take()
            except _Incomplete:
                if self._is_last:
                    return
                raise
            yield taken.decode(self._encoding, "surrogateescape")

    def accept(self) -> int:
        """What was taken is one row: the next begins behind it. Returns the line on which it began."""
        began = self.line
        self.start, self.line = self._at, self._line
        return began

    def is_one_line(self) -> bool:
        return self._line == self.line + 1

    def drop_one(self) -> int:
        """Only the first line of what was taken was bad: the next row begins behind it. Returns its number."""
        began = self.line
        end = self._window.find(b"\n", self.start) + 1 or len(self._window)
        self.start = self._at = end
        self.line = self._line = began + 1
        return began


def _read_json(lines: _Lines, _spelling: Spelling, found: Found, most_rows: int) -> None:
    while lines.has_more() and len(found.rows) + len(found.bad) < most_rows:
        try:
            raw = lines.take()
        except _Incomplete:
            return
        except _TooLong:
            found.bad.append(BadRow(lines.drop_one(), "", *_TOO_LONG))
            continue
        line = lines.accept()
        if raw.isspace():
            continue
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            found.bad.append(BadRow(line, "", *(_NOT_JSON if _is_text(raw) else _NOT_TEXT)))
            continue
        if type(value) is dict:
            found.rows.append(Row(line, value))
        else:
            found.bad.append(BadRow(line, "", *_NOT_JSON))


def _read_csv(lines: _Lines, spelling: Spelling, found: Found, most_rows: int) -> None:
    reader = _reader(lines, spelling)
    while lines.has_more() and len(found.rows) + len(found.bad) < most_rows:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _Incomplete:
            return
        except _TooLong:
            found.bad.append(BadRow(lines.drop_one(), "", *_TOO_LONG))
            reader = _reader(lines, spelling)
            continue
        except csv.Error:
            found.bad.append(BadRow(lines.drop_one(), "", *_NOT_CSV))
            reader = _reader(lines, spelling)
            continue
        if len(cells) != len(spelling.header) and cells:
            words = f"the header has {len(spelling.header)} cells, this row {len(cells)}"
            # A quote that is not closed swallows good lines: only the first of them is bad.
            is_whole = lines.is_one_line()
            line = lines.accept() if is_whole else lines.drop_one()
            found.bad.append(BadRow(line, "", "wrong_number_of_cells", words))
            reader = reader if is_whole else _reader(lines, spelling)
            continue
        line = lines.accept()
        if cells and (broken := _broken_cell(cells, spelling)) is not None:
            found.bad.append(BadRow(line, broken, *_NOT_TEXT))
        elif cells:
            found.rows.append(Row(line, _by_column(cells, spelling)))


def _reader(lines: _Lines, spelling: Spelling) -> Iterator[list[str]]:
    return csv.reader(lines.texts(), delimiter=spelling.delimiter, strict=True)


def _by_column(cells: Sequence[str], spelling: Spelling) -> dict[str, Any]:
    """An empty cell says nothing."""
    values: dict[str, Any] = {name: cell for name, cell in zip(spelling.header, cells, strict=True) if cell}
    for name in spelling.repeated & values.keys():
        values[name] = [cell for column, cell in zip(spelling.header, cells, strict=True) if column == name and cell]
    return values


def _broken_cell(cells: Sequence[str], spelling: Spelling) -> str | None:
    """The column of a cell that is not text in the file's encoding, or None."""
    return next((spelling.header[place] for place, cell in enumerate(cells) if not cell.isascii() and not _is_encodable(cell)), None)


def _is_encodable(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


_SEPARATORS = (",", ";", "\t", "|")
_BOM = b"\xef\xbb\xbf"


def look(window: bytes, encoding: str, *, delimiter: str | None = None, header: tuple[str, ...] = ()) -> tuple[Spelling, Position]:
    """Tell from a file's beginning how it is written: its form, its separator, and its header; what is given is believed.

    JSON lines begin with a brace; everything else is CSV. Raises csv.Error, UnicodeDecodeError.
    """
    begins_at = len(_BOM) if window.startswith(_BOM) else 0
    if window[begins_at:].lstrip()[:1] == b"{":
        return Spelling("ndjson", encoding=encoding), Position(begins_at)
    end = window.find(b"\n", begins_at) + 1 or len(window)
    first = window[begins_at:end].decode(encoding)
    separator = delimiter or max(_SEPARATORS, key=first.count)
    if header:
        return Spelling("csv", header, separator, encoding), Position(begins_at)
    named = next(csv.reader([first], delimiter=separator, strict=True), [])
    return Spelling("csv", tuple(name.strip() for name in named), separator, encoding), Position(end, 2)
