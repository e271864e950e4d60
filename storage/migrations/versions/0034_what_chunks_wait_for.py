"""What a chunk of a run waits for; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    op.execute("ALTER TABLE campaign_chunks DROP COLUMN waits_for")
