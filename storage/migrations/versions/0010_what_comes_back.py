"""What providers and people send back; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_beside(__file__)
    guard("provider_events", "unclear_replies")


def downgrade() -> None:
    op.execute("DROP TABLE unclear_replies, provider_events")
    op.execute("ALTER TABLE provider_accounts DROP COLUMN inbound_key")
    op.execute("ALTER TABLE endpoints DROP COLUMN replied_at")
    op.execute("ALTER TABLE messages DROP COLUMN accepted_at")
