"""`sojourn keys`: makes, lists, rotates and revokes API keys, straight in Postgres: the first key cannot come through the API."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from cli.console import notes, out
from cli.local_keys import settings_here
from journeys.language.errors import NotFound, Refused
from storage import apps, keys
from storage.database import Connection, Database

app = typer.Typer(help="API keys of an app: create, list, rotate, revoke.", no_args_is_help=True)

Result = TypeVar("Result")
AppName = Annotated[str, typer.Option("--app", help="the app; SOJOURN_APP by default")]


KeyId = Annotated[str, typer.Argument(help="the id from `sojourn keys list`: the 8 characters in the middle of the key")]


class Scope(StrEnum):
    INGEST = "ingest"
    SEND = "send"
    READ = "read"
    MANAGE = "manage"
    ERASE = "erase"
    KEYS = "keys"


class Kind(StrEnum):
    WRITE = "write"
    PUBLIC = "public"
    SECRET = "secret"  # noqa: S105 - a kind of key


@app.command()
def create(
    kind: Annotated[Kind, typer.Argument(help="write: events from servers; public: events from browsers and apps; secret: all else")],
    name: Annotated[str, typer.Option(help="what it is for, to tell keys apart later")] = "",
    scope: Annotated[list[Scope] | None, typer.Option(help="what a secret key may do, may be repeated; none: everything")] = None,
    days: Annotated[int, typer.Option(min=0, help="after how many days it ends; 0: never")] = 0,
    app_name: AppName = "",
    new_app: Annotated[bool, typer.Option("--new-app", help="make the app first")] = False,
) -> None:
    """Make a key and print it. It is shown this once: only its hash is kept."""
    if scope and kind is not Kind.SECRET:
        raise Refused("write and public keys send events and nothing else: leave --scope out, or make a secret key")
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None

    async def work(connection: Connection, of: str) -> str:
        if new_app:
            await apps.create(connection, of)
        await _must_exist(connection, of)
        return await keys.create(connection, of, kind, name, scopes=scope or (), expires_at=expires_at)

    out.print(_with_app(app_name, work))


@app.command("list")
def list_keys(app_name: AppName = "") -> None:
    """List the keys that work, the newest first, without their secrets."""
    table = Table("id", "kind", "name", "scopes", "made", "last used", "ends", box=None)
    for key in _with_app(app_name, keys.page):
        scopes = "all" if set(key.scopes) == set(keys.SCOPES) else " ".join(key.scopes)
        table.add_row(key.id, key.kind, key.name, scopes, _time(key.created_at), _time(key.last_used_at), _time(key.expires_at))
    out.print(table)


@app.command()
def rotate(
    key_id: KeyId,
    hours: Annotated[float, typer.Option(min=0, max=720, help="how long the old key goes on working")] = 24,
    app_name: AppName = "",
) -> None:
    """Make a key that may do the same, print it, and let the old one end after a while."""

    async def work(connection: Connection, of: str) -> str:
        return await keys.rotate(connection, of, key_id, timedelta(hours=hours))

    out.print(_with_app(app_name, work))
    notes.print(f"{key_id} works for {hours:g} hours more.")


@app.command()
def revoke(
    key_id: KeyId,
    app_name: AppName = "",
) -> None:
    """Make a key useless, within ten seconds everywhere."""

    async def work(connection: Connection, of: str) -> None:
        await keys.revoke(connection, of, key_id)

    _with_app(app_name, work)
    notes.print(f"Revoked {key_id}.")


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "never"


async def _must_exist(connection: Connection, of: str) -> None:
    if of not in await apps.ids(connection):
        raise NotFound(f"there is no app {of}: make it with --new-app, or name another with --app")


def _with_app(named: str, work: Callable[[Connection, str], Awaitable[Result]]) -> Result:
    settings = settings_here()

    async def run() -> Result:
        database = Database(settings.database_url, pool_size=1, suppression_keys=settings.plain_suppression_keys)
        try:
            async with database.transaction() as connection:
                return await work(connection, named or settings.app)
        finally:
            await database.close()

    return asyncio.run(run())
