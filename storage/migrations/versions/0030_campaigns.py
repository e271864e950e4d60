"""Campaigns with their versions, what was done to them, and who won; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    run_beside(__file__)
    guard("campaigns", "campaign_versions", "campaign_acts", "campaign_winners")


def downgrade() -> None:
    op.execute("DROP TABLE campaign_winners, campaign_acts, campaign_versions, campaigns")
