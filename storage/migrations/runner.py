"""Move the schema up or down. Each migration waits at most five seconds for a lock, so it never stops a busy table for long."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

FOLDER = Path(__file__).parent


async def migrate(url: str, revision: str = "head") -> None:
    """Move the database at `url` to `revision` (up, or down to an earlier one). Two callers at once wait for each other.

    A schema that a newer Sojourn has made stays as it is, so that this code can be rolled back to.
    """
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate, revision)
            await connection.commit()
    finally:
        await engine.dispose()


async def is_at_head(url: str) -> bool:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda c: MigrationContext.configure(c).get_current_revision()) == head()
    finally:
        await engine.dispose()


def head() -> str:
    """The newest revision that this code knows."""
    return ScriptDirectory(str(FOLDER)).get_current_head() or ""


def is_enough(revision: str | None) -> bool:
    """Tell whether this code can work on a schema: its own, or one of a newer Sojourn, whose migrations only add.

    A revision that this code does not know is a newer one: every older one has its file here.
    """
    known = {script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions()}
    return revision is not None and (revision == head() or revision not in known)


def _migrate(connection: Connection, revision: str) -> None:
    connection.exec_driver_sql("SELECT pg_advisory_lock(7305200)")
    connection.exec_driver_sql("SET lock_timeout = '5s'")
    connection.commit()
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER))
    current = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    if revision == "head" and is_enough(current):
        connection.exec_driver_sql("SELECT pg_advisory_unlock(7305200)")
        return
    script = ScriptDirectory.from_config(config)
    target = script.get_revision(revision).revision if revision != "base" else None
    going_down = current is not None and (target is None or target in _ancestors(script, current))
    (command.downgrade if going_down else command.upgrade)(config, revision)
    connection.commit()
    connection.exec_driver_sql("SELECT pg_advisory_unlock(7305200)")


def _ancestors(script: ScriptDirectory, revision: str) -> set[str]:
    return {step.revision for step in script.iterate_revisions(revision, "base")} - {revision}
