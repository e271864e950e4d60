"""Reports: counts by the hour of entry, and what tells which hours changed; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0005"
down_revision = "0004"

TABLES = "report_counts report_hours report_conversions report_goals report_news report_reading"
TRIGGERS = {"messages_tell_report": "messages", "enrollments_tell_report": "enrollments", "users_tell_report": "users"}
INDEXES = "step_outcomes_began events_seq refused_entries_refused enrollments_ended"


def upgrade() -> None:
    run_beside(__file__)
    guard("report_counts", "report_hours", "report_conversions", "report_goals", "report_news")


def downgrade() -> None:
    for index in INDEXES.split():
        op.execute(f"DROP INDEX {index}")
    for trigger, table in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for function in ("tell_report_of_join", "tell_report", "hour_of"):
        op.execute(f"DROP FUNCTION {function}")
    for table in TABLES.split():
        op.execute(f"DROP TABLE {table}")
