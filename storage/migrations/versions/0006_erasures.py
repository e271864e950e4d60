"""Removing people for good; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_beside(__file__)
    guard("erasures")


def downgrade() -> None:
    op.execute("DROP TABLE erasures")
    op.execute("ALTER TABLE idempotency_keys DROP COLUMN about")
