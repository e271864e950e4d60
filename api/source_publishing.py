"""Sources that are to be published, and their rows: read, checked, and compared with what is live. Pure: no SQL, no clock."""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from api.errors import pointer
from journeys.language.codec import source_from_json, source_hash, source_to_json
from journeys.language.describe import duration_words
from journeys.language.errors import Invalid, Problem
from journeys.language.sources import Http, Rows, Source, Table, source_problems
from storage.sources import StoredSource

MOST_ROWS = 100_000
LONGEST_KEY = 256
_ROW_LIMIT = 64 * 1024
_MOST_TOLD = 10


@dataclass(frozen=True)
class ReadRows:
    """Rows by key, checked, and the hash that is the same for the same rows."""

    rows: Mapping[str, Mapping[str, Any]]
    hash: str


@dataclass(frozen=True)
class WrittenSource:
    """A source to be published, read and checked; `rows` where they come with it."""

    source: Source
    rows: ReadRows | None = None

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def text(self) -> str:
        return source_to_json(self.source).decode()

    @property
    def hash(self) -> str:
        return source_hash(self.source)


@dataclass(frozen=True)
class SourceChange:
    """What becomes of one source; `version` is what is live now, `words` say what differs."""

    name: str
    change: Literal["new", "changed", "same"]
    version: int | None
    words: str


def read(name: str, definition: Mapping[str, Any], place: str, table: str | None = None) -> WrittenSource:
    """Read one source, and the CSV of its rows, and check both; `place` is where it stands in the body.

    Raises Invalid with everything that is wrong.
    """
    try:
        source = source_from_json(orjson.dumps({**definition, "name": name}))
    except ValidationError as error:
        raise Invalid([Problem(f"{place}{pointer(e['loc'])}", e["type"]) for e in error.errors(include_input=False)]) from error
    if found := source_problems(source):
        raise Invalid([Problem(place, each.code, each.message) for each in found])
    return WrittenSource(source, None if table is None else rows_of_csv(source, table, place))


def read_all(given: Mapping[str, tuple[Mapping[str, Any], str | None]]) -> list[WrittenSource]:
    """Read all that a publication holds: definition and CSV by name. Raises Invalid with every problem of all of them."""
    written: list[WrittenSource] = []
    found: list[Problem] = []
    for name, (definition, table) in sorted(given.items()):
        try:
            written.append(read(name, definition, f"/sources/{pointer([name])[1:]}", table))
        except Invalid as invalid:
            found += invalid.problems
    if found:
        raise Invalid(found)
    return written


def rows_of_csv(source: Source, table: str, place: str) -> ReadRows:
    """The rows of a CSV with a line of names. Raises Invalid with the lines that are wrong."""
    key = _key(source, place)
    try:
        lines = list(csv.reader(StringIO(table.removeprefix("\ufeff"), newline=""), strict=True))
    except csv.Error as error:
        raise Invalid([Problem(place, "no_csv", "this is no CSV: commas between values, quotes around those with commas")]) from error
    names = lines[0] if lines else []
    if key not in names or len(set(names)) < len(names):
        words = f"the first line names the columns, each once, and {key} is among them"
        raise Invalid([Problem(place, "no_key_column", words)])
    numbered = [(number, line) for number, line in enumerate(lines[1:], 2) if line]
    found = [
        Problem(place, "bad_row", f"row {number}: {len(line)} values, where the first line names {len(names)}")
        for number, line in numbered
        if len(line) != len(names)
    ]
    if found:
        raise Invalid(found[:_MOST_TOLD])
    return _rows(key, [(number, dict(zip(names, line, strict=True))) for number, line in numbered], place)


def rows_of_json(source: Source, rows: Sequence[Mapping[str, Any]], place: str) -> ReadRows:
    """The same of JSON objects, each with the key among its members; a key that is a whole number stands for its text."""
    return _rows(_key(source, place), list(enumerate(rows, 1)), place)


def _key(source: Source, place: str) -> str:
    if not isinstance(source.origin, Rows):
        raise Invalid([Problem(place, "keeps_no_rows", "only a source whose origin is Rows has rows here")])
    return source.origin.key


def _rows(key: str, numbered: Sequence[tuple[int, Mapping[str, Any]]], place: str) -> ReadRows:
    if len(numbered) > MOST_ROWS:
        raise Invalid([Problem(place, "too_many_rows", f"a source keeps {MOST_ROWS} rows at most: use a table for more")])
    rows: dict[str, Mapping[str, Any]] = {}
    found: list[Problem] = []
    for number, row in numbered:
        value = row.get(key)
        name = str(value) if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)) else ""
        if why := next(_wrong(name, row, rows), None):
            found.append(Problem(place, "bad_row", f"row {number}: {why}"))
        rows[name] = row
    if found:
        raise Invalid(found[:_MOST_TOLD])
    text = orjson.dumps({name: dict(row) for name, row in rows.items()}, option=orjson.OPT_SORT_KEYS)
    return ReadRows(rows, hashlib.sha256(text).hexdigest())


def _wrong(name: str, row: Mapping[str, Any], rows: Mapping[str, object]) -> Iterator[str]:
    if not 0 < len(name) <= LONGEST_KEY:
        yield f"its key is empty, no text, or longer than {LONGEST_KEY} characters"
    if name in rows:
        yield "its key is that of a row before it"
    if len(orjson.dumps(dict(row))) > _ROW_LIMIT:
        yield "it is larger than 64 KB"


def lacking(templates: Mapping[str, Iterable[str]], names: Iterable[str]) -> list[Problem]:
    """Find every source that these templates ask and that is not among `names`; pointers are templates/<name>."""
    known = set(names)
    return [
        Problem(f"templates/{template}", "no_such_source", f"there is no source {name}: publish it with this template or before")
        for template, asked in sorted(templates.items())
        for name in asked
        if name not in known
    ]


def compare(written: Iterable[WrittenSource], live: Sequence[StoredSource]) -> list[SourceChange]:
    """Say for each what publishing would change. Sources that are not named are left alone."""
    known = {each.name: each for each in live}
    return [_change(each, known.get(each.name)) for each in written]


def _change(written: WrittenSource, known: StoredSource | None) -> SourceChange:
    counted = f"{len(written.rows.rows):,} rows" if written.rows else ""
    if known is None:
        return SourceChange(written.name, "new", None, ", ".join(filter(None, (words(written.source), counted))))
    found = [] if known.hash == written.hash else [f"{words(written.source)}, was {words(known.source)}"]
    if written.rows is not None and written.rows.hash != known.rows_hash:
        found.append(f"{counted}, was {known.row_count:,}")
    return SourceChange(written.name, "changed" if found else "same", known.version, "; ".join(found) or words(written.source))


def words(source: Source) -> str:
    """A source in words."""
    origin = source.origin
    match origin:
        case Http():
            place = f"GET {origin.url}, remembered for {duration_words(origin.cache)}"
        case Table():
            place = f"the table {origin.table} by {origin.key}, remembered for {duration_words(origin.cache)}"
        case Rows():
            place = f"rows kept here by {origin.key}"
    match source.failing:
        case "default":
            return f"{place}; its default when it fails"
        case "wait":
            return f"{place}; messages wait {duration_words(source.wait_at_most)} when it fails"
        case "skip":
            return f"{place}; messages are skipped when it fails"
