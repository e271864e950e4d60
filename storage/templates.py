"""Statements about templates: immutable versions of a mapping file name -> text, and which of them is live."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class StoredTemplate:
    """One published version. `files` is what stands in journeys/templates/<name>/: file name -> text."""

    name: str
    version: int
    files: dict[str, str]
    hash: str
    published_at: datetime


@dataclass(frozen=True)
class TemplateSummary:
    """One line of the list: the live version of a template."""

    name: str
    version: int
    hash: str
    published_at: datetime


# The row lock on `templates` lets one publisher number versions at a time.
_CLAIM_NAME = text("""
    INSERT INTO templates (app, name, live_version) VALUES (:app, :name, 1)
    ON CONFLICT (app, name) DO UPDATE SET updated_at = now()
""")
_KNOWN_VERSION = text("SELECT version FROM template_versions WHERE app = :app AND template = :name AND hash = :hash")
_ADD_VERSION = text("""
    INSERT INTO template_versions (app, template, version, hash, files)
    SELECT :app, :name, coalesce(max(version), 0) + 1, :hash, :files
    FROM template_versions WHERE app = :app AND template = :name
    RETURNING version
""")
_GO_LIVE = text("UPDATE templates SET live_version = :version, updated_at = now() WHERE app = :app AND name = :name")
_LIVE = text("""
    SELECT v.template AS name, v.version, v.files, v.hash, v.published_at
    FROM templates t JOIN template_versions v ON v.app = t.app AND v.template = t.name AND v.version = t.live_version
    WHERE t.app = :app AND t.name = :name
""")
_VERSION = text("""
    SELECT template AS name, version, files, hash, published_at
    FROM template_versions WHERE app = :app AND template = :name AND version = :version
""")
_ALL = text("""
    SELECT t.name, v.version, v.hash, v.published_at
    FROM templates t JOIN template_versions v ON v.app = t.app AND v.template = t.name AND v.version = t.live_version
    WHERE t.app = :app ORDER BY t.name
""")
_ALL_WITH_FILES = text("""
    SELECT t.name, v.version, v.files, v.hash, v.published_at
    FROM templates t JOIN template_versions v ON v.app = t.app AND v.template = t.name AND v.version = t.live_version
    WHERE t.app = :app ORDER BY t.name
""")


async def publish(connection: Connection, app: str, name: str, files: dict[str, str], content_hash: str) -> int:
    """Make these files the live version and return its number.

    The same content again is the same version: publishing is idempotent, and going back to older content makes its old number live.
    """
    named = {"app": app, "name": name}
    await connection.execute(_CLAIM_NAME, named)
    version = (await connection.execute(_KNOWN_VERSION, {**named, "hash": content_hash})).scalar()
    if version is None:
        version = (await connection.execute(_ADD_VERSION, {**named, "hash": content_hash, "files": files})).scalar_one()
    await connection.execute(_GO_LIVE, {**named, "version": version})
    return int(version)


async def live(connection: Connection, app: str, name: str) -> StoredTemplate | None:
    """The version that a Send uses now, or None where the app has no such template."""
    row = (await connection.execute(_LIVE, {"app": app, "name": name})).mappings().first()
    return StoredTemplate(**row) if row else None


async def version(connection: Connection, app: str, name: str, number: int) -> StoredTemplate | None:
    """One version by its number, live or not: what the ledger's `template_version` points to."""
    row = (await connection.execute(_VERSION, {"app": app, "name": name, "version": number})).mappings().first()
    return StoredTemplate(**row) if row else None


async def live_templates(connection: Connection, app: str) -> list[TemplateSummary]:
    """Every template of the app with its live version, by name."""
    rows = (await connection.execute(_ALL, {"app": app})).mappings()
    return [TemplateSummary(**row) for row in rows]


async def live_with_files(connection: Connection, app: str) -> list[StoredTemplate]:
    """Every template of the app as a Send uses it now, by name."""
    rows = (await connection.execute(_ALL_WITH_FILES, {"app": app})).mappings()
    return [StoredTemplate(**row) for row in rows]
