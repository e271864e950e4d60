"""How messages are shared between accounts, how fast they may leave through each, and what is known of its trouble; SQL beside this."""

from pathlib import Path

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text()
    op.execute("SELECT 1")  # opens the transaction that the script below runs in
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    # asyncpg prepares what SQLAlchemy executes, and only one statement can be prepared at a time.
    connection.run_async(lambda driver: driver.execute(statements))


def downgrade() -> None:
    op.execute("DROP TABLE account_states")
    op.execute("ALTER TABLE messages DROP COLUMN account")
    op.execute(
        "ALTER TABLE provider_accounts DROP COLUMN weight, DROP COLUMN countries, DROP COLUMN classes, DROP COLUMN per_second,"
        " DROP COLUMN burst, DROP COLUMN max_per_day"
    )
