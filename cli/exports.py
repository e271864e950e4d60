"""`sojourn export`: users into a file here, or to a URL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.client import Client, client
from cli.console import out
from cli.progress import watch
from journeys.language.errors import Refused

app = typer.Typer(help="Write users, or who is in a segment, into a file: CSV, JSON lines, Parquet.", no_args_is_help=True)
_FORMS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}

Target = Annotated[str, typer.Argument(help="a file of this machine, or a URL (s3, gs, or http and https by PUT); its ending says how")]
Attribute = Annotated[list[str] | None, typer.Option("--attribute", help="only this attribute; may come again")]


@app.command()
def users(target: Target, attribute: Attribute = None) -> None:
    """Write everybody who has a user id."""
    _export(target, {"attributes": attribute})


@app.command()
def segment(
    name: Annotated[str, typer.Argument(help="the segment's name")],
    target: Target,
    attribute: Attribute = None,
    *,
    at: Annotated[str | None, typer.Option(help="who is in it as of then, such as 2026-11-01T00:00:00Z; now, if not given")] = None,
) -> None:
    """Write who is in a segment."""
    _export(target, {"segment": name, "at": at, "attributes": attribute})


def _export(target: str, order: dict[str, Any]) -> None:
    form = _FORMS.get(Path(target.partition("?")[0]).suffix.lower())
    if form is None:
        raise Refused(f"the name of the file says how it is written: let it end with {', '.join(_FORMS)}")
    is_url = "://" in target
    with client() as sojourn:
        job = sojourn.post("/v1/exports", {**order, "form": form, "url": target if is_url else None})["id"]
        result = watch(sojourn, job)
        if not is_url:
            _save(sojourn, result["file"], Path(target))
    out.print(escape(f"{result['people']:,} users are in {target.partition('?')[0]}"))
    if result["anonymous_left_out"]:
        out.print(f"    {result['anonymous_left_out']:,} people without a user id are not in it")


def _save(sojourn: Client, file_id: str, target: Path) -> None:
    """What has the name of the target is whole."""
    unfinished = target.with_name(f"{target.name}.part")
    with unfinished.open("wb") as opened:
        for piece in _pieces(sojourn, file_id):
            opened.write(piece)
    unfinished.replace(target)


def _pieces(sojourn: Client, file_id: str) -> Iterator[bytes]:
    return sojourn.download(f"/v1/files/{file_id}")
