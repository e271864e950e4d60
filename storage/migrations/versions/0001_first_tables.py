"""The first schema; its SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

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
    run_beside(__file__)


def downgrade() -> None:
    # The role sojourn_api stays: roles belong to the cluster, and another database may use it.
    for table in TABLES:
        op.execute(f"DROP TABLE {table} CASCADE")
    op.execute("DROP FUNCTION ensure_partitions, message_id, time_floor, length_prefixed")
