"""`sojourn keys`: makes, lists and revokes API keys, straight in Postgres: the first key cannot come through the API."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from cli.console import notes, out
from cli.local_keys import settings_here
from journeys.language.errors import NotFound
from storage import apps, keys
from storage.database import Connection, Database

app = typer.Typer(help="API keys of an app: create, list, revoke.", no_args_is_help=True)

Result = TypeVar("Result")
AppName = Annotated[str, typer.Option("--app", help="the app; SOJOURN_APP by default")]


class Kind(StrEnum):
    WRITE = "write"
    PUBLIC = "public"
    SECRET = "secret"  # noqa: S105 - a kind of key


@app.command()
def create(
    kind: Annotated[Kind, typer.Argument(help="write: events from servers; public: events from browsers and apps; secret: all else")],
    name: Annotated[str, typer.Option(help="what it is for, to tell keys apart later")] = "",
    app_name: AppName = "",
    new_app: Annotated[bool, typer.Option("--new-app", help="make the app first")] = False,
) -> None:
    """Make a key and print it. It is shown this once: only its hash is kept."""

    async def work(connection: Connection, of: str) -> str:
        if new_app:
            await apps.create(connection, of)
        await _must_exist(connection, of)
        return await keys.create(connection, of, kind, name)

    out.print(_with_app(app_name, work))


@app.command("list")
def list_keys(app_name: AppName = "") -> None:
    """List the keys that work, without their secrets."""
    table = Table("id", "kind", "name", "made", "last used", box=None)
    for key in _with_app(app_name, keys.of_app):
        used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
        table.add_row(key.id, key.kind, key.name, f"{key.created_at:%Y-%m-%d %H:%M}", used)
    out.print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="the id from `sojourn keys list`: the 8 characters in the middle of the key")],
    app_name: AppName = "",
) -> None:
    """Make a key useless, within ten seconds everywhere."""

    async def work(connection: Connection, of: str) -> None:
        await keys.revoke(connection, of, key_id)

    _with_app(app_name, work)
    notes.print(f"Revoked {key_id}.")


async def _must_exist(connection: Connection, of: str) -> None:
    if of not in await apps.ids(connection):
        raise NotFound(f"there is no app {of}: make it with --new-app, or name another with --app")


def _with_app(named: str, work: Callable[[Connection, str], Awaitable[Result]]) -> Result:
    settings = settings_here()

    async def run() -> Result:
        database = Database(settings.database_url, pool_size=1)
        try:
            async with database.transaction() as connection:
                return await work(connection, named or settings.app)
        finally:
            await database.close()

    return asyncio.run(run())
