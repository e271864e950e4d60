"""What is bulk waits behind what is not; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    op.execute("DROP INDEX open_messages_direct")
    op.execute("ALTER TABLE open_messages DROP COLUMN is_bulk")
