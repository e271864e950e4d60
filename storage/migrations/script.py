"""What migrations have in common: they run the SQL in the file beside them, and keep the rows of one app from the others."""

from pathlib import Path

from alembic import op

_GUARDS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO sojourn_api",
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
    """CREATE POLICY api_sees_its_app ON {table} TO sojourn_api
        USING (app = current_setting('sojourn.app', true)) WITH CHECK (app = current_setting('sojourn.app', true))""",
    "CREATE POLICY workers_name_the_app ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)",
)


def run_beside(migration: str) -> None:
    """Run the SQL file that has the name of the migration, whose `__file__` this is."""
    statements = Path(migration).with_suffix(".sql").read_text()
    op.execute("SELECT 1")  # opens the transaction that the script below runs in
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    # asyncpg prepares what SQLAlchemy executes, and only one statement can be prepared at a time.
    connection.run_async(lambda driver: driver.execute(statements))


def guard(*tables: str) -> None:
    """Show the api only the rows of the app that its transaction named; workers see all, and name the app in each statement."""
    for table in tables:
        for statement in _GUARDS:
            op.execute(statement.format(table=table))
