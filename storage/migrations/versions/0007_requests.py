"""Entries by request; the SQL stands in the file beside this one."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text()
    op.execute("SELECT 1")  # opens the transaction that the script below runs in
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    # asyncpg prepares what SQLAlchemy executes, and only one statement can be prepared at a time.
    connection.run_async(lambda driver: driver.execute(statements))


def downgrade() -> None:
    op.execute("DELETE FROM outbox WHERE kind = 'request'")
    op.execute("DELETE FROM quarantine WHERE kind = 'request'")
    op.execute("ALTER TABLE outbox DROP CONSTRAINT outbox_kind_check")
    op.execute("ALTER TABLE outbox ADD CONSTRAINT outbox_kind_check CHECK (kind IN ('event', 'merged')) NOT VALID")
    op.execute("ALTER TABLE outbox DROP COLUMN request")
    op.execute("ALTER TABLE quarantine DROP COLUMN request")
