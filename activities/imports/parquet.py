"""Parquet, which needs the extra `parquet`: read into JSON lines, and written from them."""

import importlib
from collections.abc import Iterator, Sequence
from datetime import time
from decimal import Decimal
from typing import IO, Any

import orjson

from journeys.language.errors import Invalid, Problem, Refused

ROWS_AT_ONCE = 5_000


def lines_of_parquet(opened: IO[bytes]) -> Iterator[bytes]:
    """The rows as JSON lines, some thousand at once. Raises Invalid for what is no Parquet, Refused without the extra."""
    arrow = _arrow()
    opened.seek(0)
    try:
        for batch in arrow["parquet"].ParquetFile(opened).iter_batches(batch_size=ROWS_AT_ONCE):
            yield b"".join(_line(row) for row in batch.to_pylist())
    except (arrow["lib"].ArrowException, OSError) as error:
        raise Invalid([Problem("", "broken_parquet", "the Parquet file is broken or cut off: send it again")]) from error


def write_parquet(opened: IO[bytes], columns: Sequence[str], batches: Iterator[bytes]) -> None:
    """Write JSON lines as Parquet: every column is text, as in a CSV file, so that all files of one export have one shape."""
    arrow = _arrow()
    shape = arrow["lib"].schema([(name, arrow["lib"].string()) for name in columns])
    with arrow["parquet"].ParquetWriter(opened, shape) as writer:
        for batch in batches:
            rows = [orjson.loads(line) for line in batch.splitlines()]
            written = [{name: _text(row.get(name)) for name in columns} for row in rows]
            writer.write_table(arrow["lib"].Table.from_pylist(written, schema=shape))


def needs_parquet() -> None:
    """Raises Refused without the extra."""
    _arrow()


def _arrow() -> dict[str, Any]:
    # It is large, and most installations never need it.
    try:
        return {"lib": importlib.import_module("pyarrow"), "parquet": importlib.import_module("pyarrow.parquet")}
    except ImportError as error:
        raise Refused("Parquet needs the extra parquet: pip install 'sojourn[parquet]' where api and workers run") from error


def _line(row: dict[str, Any]) -> bytes:
    return orjson.dumps(row, default=_plain, option=orjson.OPT_NON_STR_KEYS) + b"\n"


def _plain(value: object) -> object:
    """What JSON has no word for. Anything else cannot be an attribute, and is told by the name of its type."""
    match value:
        case Decimal():
            return float(value)
        case time():
            return value.isoformat()
        case _:
            raise Invalid([Problem("", "no_json", f"a column of the type {type(value).__name__} cannot be read: leave it out")])


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()
