"""Messages that may be sent again and cannot double, and what receivers say of an account; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run_beside(__file__)
    guard("account_hours")


def downgrade() -> None:
    op.execute(
        "ALTER TABLE account_states DROP COLUMN heard, DROP COLUMN bounced, DROP COLUMN complained, DROP COLUMN stopped_for,"
        " DROP COLUMN stopped_at"
    )
    op.execute("DROP TABLE account_hours")
    op.execute("ALTER TABLE messages DROP COLUMN repeat_until")
