"""The accounts through which an app sends; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_beside(__file__)
    guard("provider_accounts")


def downgrade() -> None:
    op.execute("DROP TABLE provider_accounts")
