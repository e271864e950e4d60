"""Journeys that people enter at a moment of their own or by a schedule; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0025"
down_revision = "0023"


def upgrade() -> None:
    run_beside(__file__)
    guard("date_journeys", "due_dates", "changed_people", "schedules", "schedule_runs", "schedule_people")


def downgrade() -> None:
    op.execute("DROP TABLE schedule_people, schedule_runs, schedules, changed_people, due_dates, date_journeys")
