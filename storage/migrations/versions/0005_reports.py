"""Reports: counts by the hour of entry, and what tells which hours changed; the SQL stands in the file beside this one."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"

TABLES = "report_counts report_hours report_conversions report_goals report_news report_reading"
TRIGGERS = {"messages_tell_report": "messages", "enrollments_tell_report": "enrollments", "users_tell_report": "users"}
INDEXES = "step_outcomes_began events_seq refused_entries_refused enrollments_ended"


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text()
    op.execute("SELECT 1")  # opens the transaction that the script below runs in
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    # asyncpg prepares what SQLAlchemy executes, and only one statement can be prepared at a time.
    connection.run_async(lambda driver: driver.execute(statements))


def downgrade() -> None:
    for index in INDEXES.split():
        op.execute(f"DROP INDEX {index}")
    for trigger, table in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for function in ("tell_report_of_join", "tell_report", "hour_of"):
        op.execute(f"DROP FUNCTION {function}")
    for table in TABLES.split():
        op.execute(f"DROP TABLE {table}")
