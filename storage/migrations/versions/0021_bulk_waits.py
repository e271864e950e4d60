"""What is bulk waits behind what is not; the SQL stands in the file beside this one."""

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0017"


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text()
    op.execute("SELECT 1")  # opens the transaction that the script below runs in
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    # asyncpg prepares what SQLAlchemy executes, and only one statement can be prepared at a time.
    connection.run_async(lambda driver: driver.execute(statements))


def downgrade() -> None:
    op.execute("DROP INDEX open_messages_direct")
    op.execute("ALTER TABLE open_messages DROP COLUMN is_bulk")
