"""The first schema; its SQL stands in the file beside this one."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

TABLES = (
    "idempotency_keys",
    "sandbox_messages",
    "provider_refs",
    "direct_sends",
    "open_messages",
    "messages",
    "template_versions",
    "templates",
    "step_outcomes",
    "refused_entries",
    "enrollments",
    "journey_versions",
    "journeys",
    "quarantine",
    "processes",
    "shards",
    "outbox",
    "event_ids",
    "events",
    "suppressions",
    "consents",
    "endpoints",
    "identities",
    "users",
    "keys",
    "apps",
)


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text()
    op.execute("SELECT 1")  # opens the transaction that the script below runs in
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    # asyncpg prepares what SQLAlchemy executes, and only one statement can be prepared at a time.
    connection.run_async(lambda driver: driver.execute(statements))


def downgrade() -> None:
    # The role sojourn_api stays: roles belong to the cluster, and another database may use it.
    for table in TABLES:
        op.execute(f"DROP TABLE {table} CASCADE")
    op.execute("DROP FUNCTION ensure_partitions, message_id, time_floor, length_prefixed")
