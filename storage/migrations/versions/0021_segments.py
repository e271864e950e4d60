"""Segments with their versions, and who is on the list of a static one; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    run_beside(__file__)
    guard("segments", "segment_versions", "listed_people")


def downgrade() -> None:
    op.execute("DROP TABLE listed_people, segment_versions, segments")
