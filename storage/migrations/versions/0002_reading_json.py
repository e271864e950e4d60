"""Functions with which conditions read JSON as numbers, texts and times; the SQL stands in the file beside this one."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

FUNCTIONS = (
    "list_has json_text json_number distance_km wall_of instant_of written_offset written_wall time_parts wall_to_instant "
    "wall_within_years within_years known_zone"
)


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text()
    op.execute("SELECT 1")  # opens the transaction that the script below runs in
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    # asyncpg prepares what SQLAlchemy executes, and only one statement can be prepared at a time.
    connection.run_async(lambda driver: driver.execute(statements))


def downgrade() -> None:
    for function in FUNCTIONS.split():
        op.execute(f"DROP FUNCTION {function}")
