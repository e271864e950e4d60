"""Where links of messages lead, and who followed them; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_beside(__file__)
    guard("tracked_links", "message_links", "tracking_hits")


def downgrade() -> None:
    op.execute("DROP TABLE tracking_hits, message_links, tracked_links")
