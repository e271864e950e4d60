"""How messages are shared between accounts, how fast they may leave through each, and what is known of its trouble; SQL beside this."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_beside(__file__)
    guard("account_states")


def downgrade() -> None:
    op.execute("DROP TABLE account_states")
    op.execute("ALTER TABLE messages DROP COLUMN account")
    op.execute(
        "ALTER TABLE provider_accounts DROP COLUMN weight, DROP COLUMN countries, DROP COLUMN classes, DROP COLUMN per_second,"
        " DROP COLUMN burst, DROP COLUMN max_per_day"
    )
