"""Entries by request; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    op.execute("DELETE FROM outbox WHERE kind = 'request'")
    op.execute("DELETE FROM quarantine WHERE kind = 'request'")
    op.execute("ALTER TABLE outbox DROP CONSTRAINT outbox_kind_check")
    op.execute("ALTER TABLE outbox ADD CONSTRAINT outbox_kind_check CHECK (kind IN ('event', 'merged')) NOT VALID")
    op.execute("ALTER TABLE outbox DROP COLUMN request")
    op.execute("ALTER TABLE quarantine DROP COLUMN request")
