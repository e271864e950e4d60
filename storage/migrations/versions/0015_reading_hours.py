"""At which hours people read; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_beside(__file__)
    guard("reading_hours")


def downgrade() -> None:
    op.execute("DROP TABLE reading_hours")
