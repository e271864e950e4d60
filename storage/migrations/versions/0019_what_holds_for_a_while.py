"""Messages that hold for a while, or answer a keyword; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    op.execute("ALTER TABLE direct_sends DROP COLUMN holds_until, DROP COLUMN answers_keyword")
