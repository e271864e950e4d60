"""Statements about templates: immutable versions of a mapping file name -> text, and which of them is live."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class StoredTemplate:
    """One published version. `files` is what stands in journeys/templates/<name>/: file name -> text; `sources` those that they ask."""

    name: str
    version: int
    files: dict[str, str]
    hash: str
    published_at: datetime
    sources: list[str] = field(default_factory=list)


# The row lock on `templates` lets one publisher number versions at a time.
_CLAIM_NAME = text("""
    INSERT INTO templates (app, name, live_version) VALUES (:app, :name, 1)
    ON CONFLICT (app, name) DO UPDATE SET updated_at = now()
""")
_KNOWN_VERSION = text("SELECT version FROM template_versions WHERE app = :app AND template = :name AND hash = :hash")
_ADD_VERSION = text("""
    INSERT INTO template_versions (app, template, version, hash, files, sources)
    SELECT :app, :name, coalesce(max(version), 0) + 1, :hash, :files, :sources
    FROM template_versions WHERE app = :app AND template = :name
    RETURNING version
""")
_GO_LIVE = text("UPDATE templates SET live_version = :version, updated_at = now() WHERE app = :app AND name = :name")
_LIVE = text("""
    SELECT v.template AS name, v.version, v.files, v.hash, v.published_at, v.sources
    FROM templates t JOIN template_versions v ON v.app = t.app AND v.template = t.name AND v.version = t.live_version
    WHERE t.app = :app AND t.name = :name
""")
_VERSION = text("""
    SELECT template AS name, version, files, hash, published_at, sources
    FROM template_versions WHERE app = :app AND template = :name AND version = :version
""")
_PAGE = text("""
    SELECT t.name, v.version, v.files, v.hash, v.published_at, v.sources
    FROM templates t JOIN template_versions v ON v.app = t.app AND v.template = t.name AND v.version = t.live_version
    WHERE t.app = :app AND (CAST(:after AS text) IS NULL OR t.name > :after) ORDER BY t.name LIMIT :most
""")
_VERSIONS = text("""
    SELECT template AS name, version, files, hash, published_at, sources FROM template_versions
    WHERE app = :app AND template = :name AND (CAST(:before AS integer) IS NULL OR version < :before) ORDER BY version DESC LIMIT :most
""")
_ALL_WITH_FILES = text("""
    SELECT t.name, v.version, v.files, v.hash, v.published_at, v.sources
    FROM templates t JOIN template_versions v ON v.app = t.app AND v.template = t.name AND v.version = t.live_version
    WHERE t.app = :app ORDER BY t.name
""")


async def publish(
    connection: Connection, app: str, name: str, files: dict[str, str], content_hash: str, sources: Sequence[str] = ()
) -> int:
    """Make these files the live version and return its number.

    The same content again is the same version: publishing is idempotent, and going back to older content makes its old number live.
    """
    named = {"app": app, "name": name}
    await connection.execute(_CLAIM_NAME, named)
    version = (await connection.execute(_KNOWN_VERSION, {**named, "hash": content_hash})).scalar()
    if version is None:
        row = {**named, "hash": content_hash, "files": files, "sources": list(sources)}
        version = (await connection.execute(_ADD_VERSION, row)).scalar_one()
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


async def page(connection: Connection, app: str, *, after: str | None = None, most: int = 50) -> list[StoredTemplate]:
    """The app's templates as a Send uses them now, by name; `after` is the last name of the page before."""
    rows = (await connection.execute(_PAGE, {"app": app, "after": after, "most": most})).mappings()
    return [StoredTemplate(**row) for row in rows]


async def versions(connection: Connection, app: str, name: str, *, before: int | None = None, most: int = 50) -> list[StoredTemplate]:
    """Every published version, the newest first; `before` is the last number of the page before."""
    rows = (await connection.execute(_VERSIONS, {"app": app, "name": name, "before": before, "most": most})).mappings()
    return [StoredTemplate(**row) for row in rows]


async def activate(connection: Connection, app: str, name: str, number: int) -> None:
    """Make a published version the live one."""
    await connection.execute(_GO_LIVE, {"app": app, "name": name, "version": number})


async def live_with_files(connection: Connection, app: str) -> list[StoredTemplate]:
    """Every template of the app as a Send uses it now, by name."""
    rows = (await connection.execute(_ALL_WITH_FILES, {"app": app})).mappings()
    return [StoredTemplate(**row) for row in rows]
