"""Events by name and time over everybody, and times in attributes read quickly; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0028"
down_revision = "0027"

_PART_BY_PART = """
CREATE OR REPLACE FUNCTION instant_of(value jsonb, zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    parts text[] := time_parts(value);
    wall timestamp := written_wall(parts);
    shift interval := written_offset(parts);
BEGIN
    RETURN CASE WHEN shift IS NULL THEN wall_to_instant(wall, known_zone(zone)) ELSE within_years((wall - shift) AT TIME ZONE 'UTC') END;
END $$
"""


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    op.execute("DROP INDEX events_named")
    op.execute(_PART_BY_PART)
