"""Dates follow people whoever writes them; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0033"
down_revision = "0032"


_COMPARING = ("note_users_update", "note_endpoints_update")


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    for function in _COMPARING:
        op.execute(f"ALTER FUNCTION {function}() RESET enable_nestloop")
    for moment in ("insert", "update"):
        op.execute(f"DROP TRIGGER dates_note_{moment} ON users")
        op.execute(f"DROP FUNCTION note_dates_{moment}")
    op.execute("DROP INDEX changed_people_user")
    op.execute("ALTER TABLE date_journeys DROP COLUMN attribute")
