"""What is done by hand to enrollments, and whose sends are held; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_beside(__file__)
    guard("interventions", "held_sends")


def downgrade() -> None:
    op.execute("DROP INDEX enrollments_journey, enrollments_inside")
    op.execute("DROP TABLE interventions, held_sends")
