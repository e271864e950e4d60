"""Codes that a person types in to show that an address is theirs; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_beside(__file__)
    guard("one_time_codes")


def downgrade() -> None:
    op.execute("DROP TABLE one_time_codes")
