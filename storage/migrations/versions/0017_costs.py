"""What messages cost; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    op.execute("ALTER TABLE messages DROP COLUMN units, DROP COLUMN price, DROP COLUMN currency")
