"""Sources of outside data, their rows that are kept here, and which templates ask them; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    run_beside(__file__)
    guard("sources", "source_versions", "source_rows", "source_waits")


def downgrade() -> None:
    op.execute("ALTER TABLE template_versions DROP COLUMN sources")
    op.execute("DROP TABLE source_waits, source_rows, source_versions, sources")
