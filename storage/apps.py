"""Statements about apps: the tenants, to which everything else belongs."""

from sqlalchemy import text

from storage.database import Connection

_CREATE = text("INSERT INTO apps (id, name) VALUES (:app, :name) ON CONFLICT DO NOTHING RETURNING id")
_ALL = text("SELECT id FROM apps ORDER BY id")


async def create(connection: Connection, app: str, name: str = "") -> bool:
    """Make an app unless it exists; say whether it is new. An id has lower-case letters, digits and hyphens, 63 at most."""
    return (await connection.execute(_CREATE, {"app": app, "name": name or app})).first() is not None


async def ids(connection: Connection) -> list[str]:
    return list((await connection.execute(_ALL)).scalars())
