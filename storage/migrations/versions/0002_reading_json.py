"""Functions with which conditions read JSON as numbers, texts and times; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0002"
down_revision = "0001"

FUNCTIONS = (
    "list_has json_text json_number distance_km wall_of instant_of written_offset written_wall time_parts wall_to_instant "
    "wall_within_years within_years known_zone"
)


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    for function in FUNCTIONS.split():
        op.execute(f"DROP FUNCTION {function}")
