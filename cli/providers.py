"""`sojourn providers`: the accounts through which messages leave."""

import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.client import client
from cli.console import out
from journeys.language.errors import Invalid, NotFound, Problem
from journeys.language.messages import MessageClass

app = typer.Typer(help="Accounts at providers: through which messages leave.", no_args_is_help=True)
ChannelName = Annotated[str, typer.Argument(help="email, sms, ...")]
AccountName = Annotated[str, typer.Option("--name", help="your name for the account")]


@app.command()
def kinds() -> None:
    """List the providers that there are, and what an account at each needs."""
    table = Table("channel", "provider", "settings (* secret, ? may be left out)", box=None)
    with client() as sojourn:
        for each in sojourn.pages("/v1/provider-kinds", 200):
            words = ", ".join(_field(field) for field in each["settings"] if field["name"] != "base_url")
            table.add_row(each["channel"], each["provider"], words)
    out.print(table)


@app.command("list")
def list_accounts() -> None:
    """List the accounts, in the order in which they are tried. Secrets are not shown."""
    table = Table("channel", "name", "provider", "place", "takes", "settings", box=None)
    with client() as sojourn:
        rows = list(sojourn.pages("/v1/providers", 200))
    for each in rows:
        shown = [f"{name}={value}" for name, value in each["settings"].items()] + [f"{name}=(set)" for name in each["secret"]]
        table.add_row(each["channel"], each["name"], each["provider"], str(each["place"]), _takes(each), escape(", ".join(shown)))
    if rows:
        out.print(table)
    else:
        out.print("No accounts: messages leave as the installation is set (sojourn doctor says how).")


@app.command("set")
def set_account(
    channel: ChannelName,
    provider: Annotated[str, typer.Argument(help="one of `sojourn providers kinds`")],
    name: AccountName = "main",
    place: Annotated[int, typer.Option(help="the accounts of the lowest place are tried first")] = 1,
    weight: Annotated[int, typer.Option(help="shares messages among accounts of one place")] = 1,
    country: Annotated[list[str] | None, typer.Option(help="only this country, in two capital letters; may be repeated")] = None,
    only: Annotated[MessageClass | None, typer.Option(help="only messages of this class")] = None,
    per_second: Annotated[float | None, typer.Option(help="messages a second, of all workers together")] = None,
    burst: Annotated[int | None, typer.Option(help="how many may leave at once after a pause")] = None,
    max_per_day: Annotated[int | None, typer.Option(help="messages a day in UTC")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="name=value, or name=@file for a value from a file")] = None,
    file: Annotated[Path | None, typer.Option(help="a TOML file with the settings")] = None,
) -> None:
    """Set an account; secrets that are not given are asked for, or kept where the account is there already."""
    settings = {**_from_file(file), **dict(_named(each) for each in setting or ())}
    with client() as sojourn:
        stored = next((each for each in sojourn.pages("/v1/providers", 200) if (each["channel"], each["name"]) == (channel, name)), None)
        kept = set(stored["secret"]) if stored and stored["provider"] == provider else set()
        for field in _fields(sojourn.pages("/v1/provider-kinds", 200), channel, provider):
            if field["is_secret"] and field["is_required"] and field["name"] not in {*settings, *kept} and sys.stdin.isatty():
                settings[field["name"]] = typer.prompt(field["name"], hide_input=True)
        traffic = {"place": place, "weight": weight, "countries": country or [], "classes": [only] if only else []}
        rates = {"per_second": per_second, "burst": burst, "max_per_day": max_per_day}
        try:
            sojourn.put(f"/v1/providers/{channel}/{name}", {"provider": provider, **traffic, **rates, "settings": settings})
        except Invalid as error:
            raise Invalid([_as_typed(problem) for problem in error.problems]) from error
    out.print(f"Set: {channel} leaves through {provider} ({name}) within five seconds, unless another account comes before it.")


@app.command()
def webhooks() -> None:
    """Show where each provider calls us: set these addresses there."""
    table = Table("channel", "name", "provider", "address", box=None)
    with client() as sojourn:
        for each in sojourn.pages("/v1/providers", 200):
            if each["webhook_url"]:
                table.add_row(each["channel"], each["name"], each["provider"], escape(each["webhook_url"]))
    out.print(table if table.row_count else "None: no account is set whose provider calls us.")


@app.command()
def verify(channel: ChannelName, name: AccountName = "main") -> None:
    """Ask the provider whether the account works. Nothing is sent."""
    with client() as sojourn:
        found = sojourn.post(f"/v1/providers/{channel}/{name}/verify")
    out.print(f"{channel} {name}: {found['verdict'].replace('_', ' ')}: {escape(found['words'])}")
    if found["remedy"]:
        out.print(f"     {escape(found['remedy'])}")
    raise typer.Exit(int(found["verdict"] == "refused"))


@app.command()
def remove(channel: ChannelName, name: AccountName = "main") -> None:
    """Forget an account. What is being sent through it still ends."""
    with client() as sojourn:
        sojourn.delete(f"/v1/providers/{channel}/{name}")
    out.print(f"Forgotten: {channel} account {name}.")


@app.command()
def reseal() -> None:
    """Seal every secret with the newest of SOJOURN_CREDENTIAL_KEYS; then the old key can go."""
    with client() as sojourn:
        resealed = sojourn.post("/v1/providers/reseal")["resealed"]
    out.print(f"Sealed anew: {resealed}.")


def _takes(account: dict[str, Any]) -> str:
    """What goes through it, and how fast: only what was set."""
    parts = [
        f"weight {account['weight']}" if account["weight"] != 1 else "",
        " ".join(account["countries"]),
        " ".join(account["classes"]),
        f"{account['per_second']:g} a second" if account["per_second"] else "",
        f"{account['burst']} at once" if account["burst"] else "",
        f"{account['max_per_day']} a day" if account["max_per_day"] else "",
    ]
    return ", ".join(part for part in parts if part) or "everything"


def _field(field: dict[str, Any]) -> str:
    name: str = field["name"]
    return name + ("*" if field["is_secret"] else "") + ("" if field["is_required"] else "?")


def _as_typed(problem: Problem) -> Problem:
    """A setting by the option that gives it."""
    _, settings, name = problem.pointer.rpartition("/settings/")
    if not settings:
        return problem
    if problem.code != "missing":
        return replace(problem, pointer=name)
    how = "as [senders] in --file" if name == "senders" else f"with --set {name}=..."
    return replace(problem, pointer=name, message=f"is needed: give it {how}")


def _fields(kinds_there: Any, channel: str, provider: str) -> list[dict[str, Any]]:
    for each in kinds_there:
        if (each["channel"], each["provider"]) == (channel, provider):
            found: list[dict[str, Any]] = each["settings"]
            return found
    raise NotFound(f"{channel} has no provider {provider}: `sojourn providers kinds` lists them")


def _from_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Invalid([Problem("--file", "bad_file", f"cannot be read as TOML: {error}")]) from error


def _named(words: str) -> tuple[str, str]:
    name, equals, value = words.partition("=")
    if not equals or not name:
        raise Invalid([Problem("--set", "bad_setting", "write it as name=value or name=@file")])
    if not value.startswith("@"):
        return name, value
    try:
        return name, Path(value[1:]).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid([Problem("--set", "bad_file", f"the file for {name} cannot be read: {type(error).__name__}")]) from error
