"""What the text of a cell becomes: a number, yes or no, a date, a list. Pure; an error says the remedy and not the value."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from activities.imports.order import Column
from storage.item_rules import LARGEST_INTEGER

Convert = Callable[[Any], Any]
_WORDS = {"true": True, "yes": True, "y": True, "t": True, "1": True, "false": False, "no": False, "n": False, "f": False, "0": False}
_INTEGER = re.compile(r"[+-]?[0-9]{1,16}")
_UNIX = {"unix": 1, "unix_ms": 1000}


class Unfit(Exception):
    """A value is not of its column's type."""

    def __init__(self, code: str, words: str) -> None:
        self.code, self.words = code, words
        super().__init__(words)


@dataclass(frozen=True)
class Clock:
    """How times are read: the zone of those that name none, and how they are written where it is not ISO 8601."""

    zone: ZoneInfo
    format: str | None = None

    def instant(self, value: Any) -> datetime:
        """A moment in UTC; a date alone is its midnight in the zone. Raises Unfit."""
        found = self._read(value)
        moment = found if isinstance(found, datetime) else datetime(found.year, found.month, found.day)  # noqa: DTZ001 - given below
        try:
            return (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).astimezone(UTC)
        except OverflowError:
            raise self._unfit() from None

    def attribute(self, value: Any) -> str:
        """How a date stands in an attribute: a day as it is, a moment in UTC. Raises Unfit."""
        found = self._read(value)
        if not isinstance(found, datetime):
            return found.isoformat()
        return self.instant(value).isoformat().replace("+00:00", "Z")

    def _read(self, value: Any) -> date | datetime:
        try:
            if self.format in _UNIX:
                return datetime.fromtimestamp(float(value) / _UNIX[self.format], UTC)
            if not isinstance(value, str):
                raise self._unfit()
            written = value.strip()
            if self.format is not None:
                moment = datetime.strptime(written, self.format)  # noqa: DTZ007 - the zone is ours to give
                return moment if _has_time(self.format) else moment.date()
            # A date alone, 2026-01-31 or 20260131, has no place for a time.
            return date.fromisoformat(written) if len(written) <= len("2026-01-31") else datetime.fromisoformat(written)
        except (ValueError, OverflowError, OSError, TypeError):
            raise self._unfit() from None

    def _unfit(self) -> Unfit:
        if self.format is None:
            return Unfit("no_date", "a date in ISO 8601, such as 2026-01-31 or 2026-01-31T09:00:00Z, or name its format")
        return Unfit("no_date", f"a date as its format says: {self.format}")


def converter(column: Column, zone: ZoneInfo, separator: str) -> Convert | None:
    """What turns a value of this column into what is kept; None: it stays as it is."""
    clock = Clock(zone, column.format)
    return {
        "as_is": None,
        "text": _as_text,
        "number": _as_number,
        "bool": _as_bool,
        "json": _as_json,
        "date": clock.attribute,
        "list": lambda value: _as_list(value, separator),
    }[column.type]


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("no_text", "a text")
    return str(value)


def _as_number(value: Any) -> int | float:
    words = "a number such as 1234.5"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    written = value.strip() if isinstance(value, str) else ""
    if _INTEGER.fullmatch(written) and abs(int(written)) <= LARGEST_INTEGER:
        return int(written)
    try:
        number = float(written)
    except ValueError:
        raise Unfit("no_number", words) from None
    if not math.isfinite(number) or "_" in written:
        raise Unfit("no_number", words)
    return number


def _as_bool(value: Any) -> bool:
    found = value if isinstance(value, bool) else _WORDS.get(str(value).strip().lower())
    if found is None:
        raise Unfit("no_bool", "true or false, yes or no, 1 or 0")
    return found


def _as_list(value: Any, separator: str) -> list[Any]:
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        raise Unfit("no_list", f"values with {separator} between them")
    if value.startswith("["):
        found = _as_json(value)
        return found if isinstance(found, list) else [found]
    return [part.strip() for part in value.split(separator) if part.strip()]


def _as_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise Unfit("no_json", "JSON") from None


def _has_time(form: str) -> bool:
    return any(sign in form for sign in ("%H", "%I", "%M", "%S", "%c", "%X", "%T", "%s"))
