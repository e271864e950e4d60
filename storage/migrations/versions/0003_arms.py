"""Arms and holdout as SQL functions, so that reports need no list of people; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    for function in ("arm", "bucket"):
        op.execute(f"DROP FUNCTION {function}")
