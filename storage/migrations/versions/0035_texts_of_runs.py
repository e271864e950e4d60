"""The versions of templates that a run is made from; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    op.execute("ALTER TABLE campaign_runs DROP COLUMN template_versions")
