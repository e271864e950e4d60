"""SQL of a segment, run by a role that can only read, and only the rows of one app; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    op.execute("DROP FUNCTION segment_sql")
    for table in ("users", "identities", "events", "endpoints", "consents", "messages", "enrollments"):
        op.execute(f"DROP POLICY segment_sql_reads_its_app ON {table}")
        op.execute(f"REVOKE ALL ON {table} FROM sojourn_segment_sql")
    # The role stays: roles belong to the cluster, and another database may use it.
    op.execute("REVOKE ALL ON SCHEMA public FROM sojourn_segment_sql")
