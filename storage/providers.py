"""The provider accounts of an app, in the order in which they are tried; their secrets are sealed (storage/sealing.py)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import text

from journeys.language.errors import NotFound
from storage.database import Connection
from storage.sealing import Seal


@dataclass(frozen=True)
class Traffic:
    """What goes through an account, and how fast. Empty `countries` and `classes` mean all; None: no limit."""

    place: int = 1
    weight: int = 1
    countries: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    per_second: float | None = None
    burst: int | None = None
    max_per_day: int | None = None


@dataclass(frozen=True)
class Account:
    """One account. `settings` without its secrets; `secret` names those that are set.

    `inbound_key` stands in the address at which its provider calls us.
    """

    channel: str
    name: str
    provider: str
    traffic: Traffic
    settings: Mapping[str, Any]
    secret: tuple[str, ...]
    updated_at: datetime
    sealed: bytes = field(repr=False, default=b"")
    inbound_key: str = field(repr=False, default="")


def sealed_place(app: str, channel: str, name: str) -> str:
    """What a sealed secret is bound to, so that one copied to another row does not open."""
    return f"provider/{app}/{channel}/{name}"


_TRAFFIC = tuple(each.name for each in fields(Traffic))
_COLUMNS = f"channel, name, provider, {', '.join(_TRAFFIC)}, settings, secret, updated_at, sealed, inbound_key"
_OF_APP = text(f"SELECT {_COLUMNS} FROM provider_accounts WHERE app = :app ORDER BY channel, place, name")
_CALLED = text(f"SELECT app, {_COLUMNS} FROM provider_accounts WHERE inbound_key = :inbound_key")
_PUT = text(
    f"INSERT INTO provider_accounts (app, channel, name, provider, {', '.join(_TRAFFIC)}, settings, secret, sealed)"
    f" VALUES (:app, :channel, :name, :provider, {', '.join(f':{name}' for name in _TRAFFIC)}, :settings, :secret, :sealed)"
    " ON CONFLICT (app, channel, name) DO UPDATE SET provider = excluded.provider, settings = excluded.settings, secret = excluded.secret,"
    f" sealed = excluded.sealed, updated_at = clock_timestamp(), {', '.join(f'{name} = excluded.{name}' for name in _TRAFFIC)}"
)
_REMOVE = text("DELETE FROM provider_accounts WHERE app = :app AND channel = :channel AND name = :name RETURNING name")


async def of_app(connection: Connection, app: str) -> list[Account]:
    """Every account of the app, by channel and place."""
    rows = (await connection.execute(_OF_APP, {"app": app})).mappings()
    return [_account(row) for row in rows]


def _account(row: Mapping[Any, Any]) -> Account:
    traffic: dict[str, Any] = {name: tuple(value) if isinstance(value := row[name], list) else value for name in _TRAFFIC}
    own = {name: row[name] for name in ("channel", "name", "provider", "settings", "updated_at", "sealed", "inbound_key")}
    return Account(**own, secret=tuple(row["secret"]), traffic=Traffic(**traffic))


async def one(connection: Connection, app: str, channel: str, name: str) -> Account:
    """One account. Raises NotFound."""
    for account in await of_app(connection, app):
        if (account.channel, account.name) == (channel, name):
            return account
    raise NotFound("no such account")


async def of_channel(connection: Connection, app: str, channel: str) -> list[str]:
    """The providers of the app's accounts on one channel, sorted; each once."""
    return sorted({row.provider for row in await of_app(connection, app) if row.channel == channel})


async def called(connection: Connection, inbound_key: str) -> tuple[str, Account] | None:
    """The app and the account that a provider calls by this key, whichever app's it is: no app has been named yet."""
    row = (await connection.execute(_CALLED, {"inbound_key": inbound_key})).mappings().first()
    if row is None:
        return None
    return row["app"], _account(row)


async def put(
    connection: Connection,
    app: str,
    seal: Seal,
    *,
    channel: str,
    name: str,
    provider: str,
    traffic: Traffic,
    settings: Mapping[str, Any],
    secrets: dict[str, Any],
) -> None:
    """Write one account whole. Raises ConfigurationError where there are secrets and no key to seal them with."""
    sealed = seal.seal(secrets, sealed_place(app, channel, name)) if secrets else b""
    row = {"app": app, "channel": channel, "name": name, "provider": provider, "settings": dict(settings)}
    listed = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(traffic).items()}
    await connection.execute(_PUT, {**row, **listed, "secret": sorted(secrets), "sealed": sealed})


async def remove(connection: Connection, app: str, channel: str, name: str) -> bool:
    """Forget an account; False where there was none."""
    return (await connection.execute(_REMOVE, {"app": app, "channel": channel, "name": name})).first() is not None


def opened(account: Account, app: str, seal: Seal) -> dict[str, Any]:
    """The settings with their secrets. Raises ConfigurationError where the seal does not open."""
    secrets = seal.open(account.sealed, sealed_place(app, account.channel, account.name)) if account.sealed else {}
    return {**account.settings, **secrets}
