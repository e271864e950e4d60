"""What people see inside the customer's own app; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_beside(__file__)
    guard("in_app_feeds", "in_app_messages", "in_app_events")


def downgrade() -> None:
    op.execute("DROP TABLE in_app_events, in_app_messages, in_app_feeds")
