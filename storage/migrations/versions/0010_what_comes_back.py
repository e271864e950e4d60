"""What providers and people send back; the SQL stands in the file beside this one."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text()
    op.execute("SELECT 1")  # opens the transaction that the script below runs in
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    # asyncpg prepares what SQLAlchemy executes, and only one statement can be prepared at a time.
    connection.run_async(lambda driver: driver.execute(statements))


def downgrade() -> None:
    op.execute("DROP TABLE unclear_replies, provider_events")
    op.execute("ALTER TABLE provider_accounts DROP COLUMN inbound_key")
    op.execute("ALTER TABLE endpoints DROP COLUMN replied_at")
    op.execute("ALTER TABLE messages DROP COLUMN accepted_at")
