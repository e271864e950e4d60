"""Files that come in and go out, and what imports say of their rows; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    run_beside(__file__)
    guard("files", "file_chunks", "bad_rows", "row_counts")


def downgrade() -> None:
    op.execute("DROP TABLE row_counts, bad_rows, file_chunks, files")
