"""`sojourn templates`: how a message would look, and Pinpoint's templates as files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from channels.pinpoint_templates import Imported, imported
from cli.amounts import minute
from cli.client import client
from cli.console import out
from cli.options import Most, segment
from cli.rehearse import read_json
from journeys.language.errors import Invalid, Problem, Refused

app = typer.Typer(help="Templates: list, preview, roll back, and import those of Amazon Pinpoint.", no_args_is_help=True)


@app.command("list")
def list_templates(most: Most = 100) -> None:
    """List what is live, by name."""
    table = Table("name", "version", "channels", "sources", "published (UTC)", box=None)
    with client() as sojourn:
        for each in sojourn.pages("/v1/templates", most):
            lists = (", ".join(each[names]) for names in ("channels", "sources"))
            table.add_row(each["name"], str(each["version"]), *lists, minute(each["published_at"]))
    out.print(table if table.row_count else "None: `sojourn apply` publishes those of journeys/templates/.")


@app.command()
def versions(name: Annotated[str, typer.Argument(help="the template's name")], most: Most = 20) -> None:
    """List the versions of a template, the newest first, and which of them is live."""
    table = Table("version", "", "channels", "sources", "published (UTC)", box=None)
    with client() as sojourn:
        for each in sojourn.pages(f"/v1/templates/{segment(name)}/versions", most):
            lists = (", ".join(each[names]) for names in ("channels", "sources"))
            table.add_row(str(each["version"]), "live" if each["is_live"] else "", *lists, minute(each["published_at"]))
    out.print(table)


@app.command()
def activate(
    name: Annotated[str, typer.Argument(help="the template's name")],
    version: Annotated[int, typer.Argument(min=1, help="the version that is to be live; the one before it is to roll back")],
) -> None:
    """Go back to an older version of a template, or forward again: what is sent from now on uses it. The files here stay as they are."""
    with client() as sojourn:
        live = sojourn.post(f"/v1/templates/{segment(name)}/activate", {"version": version})
    out.print(f"{escape(live['name'])}: version {live['version']} is live. `sojourn apply` publishes what your files say again.")


@app.command()
def preview(
    name: Annotated[str, typer.Argument(help="the template's name")],
    channel: Annotated[str, typer.Option(help="email, sms, push, ...")] = "email",
    user: Annotated[str | None, typer.Option(help="whose attributes, language and zone")] = None,
    locale: Annotated[str | None, typer.Option(help="in which language; the user's, if not given")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="the live one, if not given")] = None,
    data: Annotated[str, typer.Option(help='what replaces the sample, as JSON: {"entry": {"order_id": "A-17"}}')] = "{}",
) -> None:
    """Show a message as it would leave, its sizes, and what mail programs and filters of spam stumble over. Nothing is sent."""
    asked = {"channel": channel, "user_id": user, "locale": locale, "version": version, "data": read_json(data, "data")}
    with client() as sojourn:
        shown = sojourn.post(f"/v1/templates/{segment(name)}/preview", {key: value for key, value in asked.items() if value is not None})
    for part, said in shown["parts"].items():
        size = f" ({shown['sizes'][part]} bytes)" if part in ("html", "text") else ""
        out.print(f"[bold]{escape(part)}[/bold]{size}")
        out.print(escape(said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, indent=2)))
    for remark in shown["remarks"]:
        out.print(escape(f"{remark['part']}: {remark['message']}"))


@app.command("import-pinpoint")
def import_pinpoint(
    files: Annotated[list[Path], typer.Argument(help="JSON as `aws pinpoint get-email-template` and its neighbours print it")],
    into: Annotated[Path, typer.Option(help="the folder of templates")] = Path("journeys/templates"),
    replace: Annotated[bool, typer.Option("--replace", help="write over files that are there")] = False,
) -> None:
    """Write Pinpoint's templates as files, Handlebars as Jinja, and name what has no translation. Then run `sojourn check`."""
    made = [each for file in files for each in _read(file)]
    there = [into / each.name / file for each in made for file in each.files if (into / each.name / file).exists()]
    if there and not replace:
        raise Refused(f"{', '.join(map(str, there))} is there already: --replace writes over it")
    for each in made:
        _write(each, into)
        out.print(escape(f"{each.name}: {', '.join(each.files)}"))
        for left in each.left:
            out.print(escape(f"  {left.place}: {left.message}"))
    places = sum(len(each.left) for each in made)
    out.print(f"{len(made)} read, {places} {'place' if places == 1 else 'places'} to look at. Now: `sojourn check`.")


def _read(file: Path) -> Iterator[Imported]:
    """A file holds one answer, a list of them, or one on each line."""
    try:
        text = file.read_text()
        try:
            told = json.loads(text)
        except ValueError:
            told = [json.loads(line) for line in text.splitlines() if line.strip()]
        for answer in told if isinstance(told, list) else [told]:
            yield imported(answer)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error) if type(error) is ValueError else "cannot be read as JSON of a template"
        raise Invalid([Problem(str(file), "no_template", why)]) from error


def _write(made: Imported, into: Path) -> None:
    folder = into / made.name
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in made.files.items():
        (folder / name).write_text(text)
