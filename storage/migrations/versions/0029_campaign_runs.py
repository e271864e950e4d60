"""Runs of campaigns: their chunks, and how many messages came to what; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    run_beside(__file__)
    guard("campaign_runs", "campaign_chunks", "campaign_tallies")


def downgrade() -> None:
    op.execute("DROP TABLE campaign_tallies")
    op.execute("DROP TABLE campaign_chunks")
    op.execute("DROP TABLE campaign_runs")
