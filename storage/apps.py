"""Statements about apps: the tenants, to which everything else belongs."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from storage.database import Connection

_CREATE = text("INSERT INTO apps (id, name) VALUES (:app, :name) ON CONFLICT DO NOTHING RETURNING id")
_NAME = text("SELECT name FROM apps WHERE id = :app")
_SETTINGS = text("SELECT settings FROM apps WHERE id = :app")
_SET = text("UPDATE apps SET settings = settings || jsonb_build_object(CAST(:name AS text), CAST(:value AS jsonb)) WHERE id = :app")
_DOMAIN = text("SELECT EXISTS (SELECT FROM apps WHERE settings #>> '{tracking,domain}' = :domain)")
_CHANGE = text(
    "UPDATE apps SET settings = (settings || CAST(:changes AS jsonb)) - CAST(:removed AS text[]) WHERE id = :app RETURNING settings"
)
_ALL = text("SELECT id FROM apps ORDER BY id")


async def create(connection: Connection, app: str, name: str = "") -> bool:
    """Make an app unless it exists; say whether it is new. An id has lower-case letters, digits and hyphens, 63 at most."""
    return (await connection.execute(_CREATE, {"app": app, "name": name or app})).first() is not None


async def ids(connection: Connection) -> list[str]:
    return list((await connection.execute(_ALL)).scalars())


async def settings(connection: Connection, app: str) -> dict[str, Any]:
    """The app's defaults, as far as they are set.

    topic, from, reply_to, postal_address, timezone, quiet_hours, send_windows, caps, holdout, tracking, campaigns_need_approval.
    """
    found: dict[str, Any] | None = (await connection.execute(_SETTINGS, {"app": app})).scalar()
    return found or {}


async def set_setting(connection: Connection, app: str, name: str, value: object) -> None:
    """Write one of the app's defaults. What it means was checked by the caller."""
    await connection.execute(_SET, {"app": app, "name": name, "value": value})


async def has_tracking_domain(connection: Connection, domain: str) -> bool:
    """Tell whether the links of any app lead to this domain."""
    return bool((await connection.execute(_DOMAIN, {"domain": domain})).scalar())


async def change_settings(connection: Connection, app: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set some of the app's defaults, remove those that are None, leave the others; return what then is set."""
    removed = [name for name, value in changes.items() if value is None]
    values = {"app": app, "changes": dict(changes), "removed": removed}
    changed: dict[str, Any] = (await connection.execute(_CHANGE, values)).scalar_one()
    return changed


async def name(connection: Connection, app: str) -> str:
    """What the app is called where people read it."""
    return str((await connection.execute(_NAME, {"app": app})).scalar_one())
