"""Messages that may be sent again and cannot double; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    op.execute("ALTER TABLE messages DROP COLUMN repeat_until")
