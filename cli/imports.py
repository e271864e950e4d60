"""`sojourn import`: users, events and lists out of files here, or out of what lies behind a URL."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from cli.client import Client, client
from cli.console import notes, out
from cli.options import segment as part
from cli.progress import watch
from journeys.language.errors import Invalid, Problem, Refused

app = typer.Typer(help="Bring users, events and lists in from files: CSV, JSON lines, Parquet.", no_args_is_help=True)
MOST_SHOWN = 10
_PIECE_BYTES: Final = 1024 * 1024

Source = Annotated[str, typer.Argument(help="a file of this machine, or a URL (http, https, s3, gs)")]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        # No word between two colons: the help would show a picture for it.
        help="TARGET[:TYPE[:FORMAT]]=COLUMN, such as email=E-Mail or attributes.born:date=Born; types: text, number, bool, list, json, date"
        " (its format as in %d.%m.%Y)",
    ),
]
IgnoreRest = Annotated[bool, typer.Option("--ignore-rest", help="take only the columns that --map names")]
Zone = Annotated[str, typer.Option(help="the zone of times that name none")]
Encoding = Annotated[str, typer.Option(help="utf-8, latin-1 or cp1252")]
Delimiter = Annotated[str | None, typer.Option(help="what stands between cells of CSV; found out, if not given")]
Header = Annotated[str | None, typer.Option(help="the columns, with commas between them, of a CSV file without a line for them")]
Separator = Annotated[str, typer.Option(help="what stands between the values of a list")]


@app.command()
def users(
    source: Source,
    mapped: Map = None,
    *,
    ignore_rest: IgnoreRest = False,
    segment: Annotated[str | None, typer.Option(help="put them on the list of this static segment, too")] = None,
    as_of: Annotated[str | None, typer.Option(help="the moment that the file tells of: what was heard later stays")] = None,
    pinpoint: Annotated[bool, typer.Option("--pinpoint", help="a file of Amazon Pinpoint; found out by its columns, if not said")] = False,
    unwrap: Annotated[bool, typer.Option("--unwrap", help="of Pinpoint: an attribute with one value is that value, not a list")] = False,
    timezone: Zone = "UTC",
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    header: Header = None,
    separator: Separator = ";",
) -> None:
    """Bring users with their attributes and addresses. The same file again changes nothing."""
    order = {"what": "users", "segment": segment, "as_of": as_of, "pinpoint": pinpoint, "unwrap": unwrap, "separator": separator}
    _import(source, {**order, **_spelling(mapped, timezone, encoding, delimiter, header, ignore_rest=ignore_rest)})


@app.command()
def events(
    source: Source,
    mapped: Map = None,
    *,
    event: Annotated[str | None, typer.Option(help="the name of all events, where no column has it")] = None,
    ignore_rest: IgnoreRest = False,
    timezone: Zone = "UTC",
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    header: Header = None,
    separator: Separator = ";",
) -> None:
    """Bring what users did before, as history: it starts nothing. The same file again changes nothing."""
    order = {"what": "events", "event": event, "separator": separator}
    _import(source, {**order, **_spelling(mapped, timezone, encoding, delimiter, header, ignore_rest=ignore_rest)})


@app.command("list")
def put_on_list(
    segment: Annotated[str, typer.Argument(help="a static segment; made where there is none")],
    source: Source,
    mapped: Map = None,
    *,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    header: Header = None,
) -> None:
    """Put users on the list of a static segment by their ids."""
    order = {"what": "list", "segment": segment}
    _import(source, {**order, **_spelling(mapped, "UTC", encoding, delimiter, header, ignore_rest=True)})


@app.command("bad-rows")
def bad_rows(
    job: Annotated[str, typer.Argument(help="the import's job")],
    most: Annotated[int, typer.Option(min=1, max=100_000, help="how many at most")] = 100_000,
) -> None:
    """Write why rows were not taken, as CSV: line, field, code, remedy. Pipe it into a file to keep it."""
    written = csv.writer(sys.stdout)
    written.writerow(["line", "field", "code", "message"])
    with client() as sojourn:
        for each in sojourn.pages(f"/v1/imports/{part(job)}/bad-rows", most):
            written.writerow([each["line"], each["field"], each["code"], each["message"]])


def _spelling(
    mapped: list[str] | None, timezone: str, encoding: str, delimiter: str | None, header: str | None, *, ignore_rest: bool
) -> dict[str, Any]:
    return {
        "columns": [_column(each) for each in mapped or []],
        "rest": "ignored" if ignore_rest else "kept",
        "timezone": timezone,
        "encoding": encoding,
        "delimiter": "\t" if delimiter in {"\\t", "tab"} else delimiter,
        "header": [name.strip() for name in header.split(",")] if header else [],
    }


def _column(written: str) -> dict[str, Any]:
    left, equals, column = written.partition("=")
    if not (equals and left and column):
        raise Invalid([Problem("--map", "no_mapping", "TARGET=COLUMN, such as email=E-Mail")])
    to, _, rest = left.partition(":")
    kind, _, form = rest.partition(":")
    return {"to": to, "column": column, "type": kind or "as_is", "format": form or None}


def _import(source: str, order: dict[str, Any]) -> None:
    with client() as sojourn:
        place = {"url": source} if "://" in source else {"file": _uploaded(sojourn, Path(source))}
        job = sojourn.post("/v1/imports", {**order, **place})["id"]
        result = watch(sojourn, job)
        for line in _told(result):
            out.print(escape(line))
        if result["bad_rows"]:
            _show_bad(sojourn, job, result["bad_rows"])


def _uploaded(sojourn: Client, path: Path) -> str:
    if not path.is_file():
        raise Refused(f"there is no file {path}")
    columns = (TextColumn("upload"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with path.open("rb") as opened, Progress(*columns, console=notes, transient=True) as bar:
        shown = bar.add_task("upload", total=path.stat().st_size)

        def pieces() -> Iterator[bytes]:
            while piece := opened.read(_PIECE_BYTES):
                yield piece
                bar.advance(shown, len(piece))

        return str(sojourn.upload("/v1/files", pieces(), name=path.name[:200])["id"])


_WORDS = {
    "users_created": "new users",
    "users_changed": "changed users",
    "events_stored": "new events",
    "events_known": "known events",
    "put_on_list": "put on the list",
}


def _told(result: Any) -> Iterator[str]:
    yield f"rows read: {result['rows']:,}" + (", as Pinpoint wrote them" if result["is_pinpoint"] else "")
    for name, words in _WORDS.items():
        if name in result:
            yield f"    {words}: {result[name]:,}"
    if result["ignored_columns"]:
        yield f"    columns that went nowhere: {', '.join(result['ignored_columns'])}"
    for each in result.get("looks_like", ()):
        remedy = f"--map {each['to']}:{each['type']}={each['column']}"
        yield f"    {each['column']} is kept as text and looks like a {each['type']}: {remedy}"
    for name, times in sorted(result["not_mapped"].items()):
        yield f"    {name} has no place here; rows with it: {times:,}"


def _show_bad(sojourn: Client, job: str, number: int) -> None:
    out.print(f"rows not taken: {number:,}", style="yellow")
    for each in sojourn.pages(f"/v1/imports/{job}/bad-rows", MOST_SHOWN):
        where = f"line {each['line']}" + (f", {each['field']}" if each["field"] else "")
        out.print(escape(f"    {where}: {each['message']} ({each['code']})"))
    out.print(f"All of them: sojourn import bad-rows {job}")
