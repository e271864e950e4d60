"""Jobs: long work that is done piece by piece; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_beside(__file__)
    guard("jobs")


def downgrade() -> None:
    op.execute("DROP TABLE jobs")
