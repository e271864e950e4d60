"""What an import is asked to do, as its job keeps it. Fields may be added with a default, never renamed or removed."""

from typing import Literal

from pydantic.dataclasses import dataclass

What = Literal["users", "events", "list"]
Type = Literal["as_is", "text", "number", "bool", "date", "list", "json"]


@dataclass(frozen=True)
class Column:
    """Where the values of a column go, and what they are. `format` is how a date is written: strptime's letters, `unix` or `unix_ms`."""

    to: str
    column: str
    type: Type = "as_is"
    format: str | None = None


@dataclass(frozen=True)
class ImportOrder:
    """`file` or `url` names what is read. `rest`: what becomes of columns that no line of `columns` names.

    `event`: the name of all events; `segment`: the static segment on whose list everybody is put; `as_of`: the moment that the file
    tells of (the job's own where None), so that what was heard later stays; `header`: the columns of a CSV file that has no line for them.
    """

    what: What
    file: str | None = None
    url: str | None = None
    pinpoint: bool = False
    columns: tuple[Column, ...] = ()
    rest: Literal["kept", "ignored"] = "kept"
    event: str | None = None
    segment: str | None = None
    as_of: str | None = None
    timezone: str = "UTC"
    separator: str = ";"
    delimiter: str | None = None
    encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8"
    header: tuple[str, ...] = ()
    unwrap: bool = False
    done_by: str = ""
