"""Who is in the segments that somebody listens to, and what may have changed it; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0023"
down_revision = "0022"

_NOTING = {
    "events": ("insert",),
    "users": ("insert", "update"),
    "endpoints": ("insert", "update", "delete"),
    "consents": ("insert",),
    "messages": ("update",),
    "listed_people": ("insert", "delete"),
    "segments": ("insert", "update", "delete"),
    "journeys": ("insert", "update"),
}


def upgrade() -> None:
    run_beside(__file__)
    guard("segment_follows", "segment_watches", "segment_members", "segment_due", "segment_changes")


def downgrade() -> None:
    for table, moments in _NOTING.items():
        for moment in moments:
            op.execute(f"DROP TRIGGER segments_note_{moment} ON {table}")
            op.execute(f"DROP FUNCTION note_{table}_{moment}")
    op.execute("DROP FUNCTION comes_as_history")
    op.execute("DROP TABLE segment_changes, segment_due, segment_members, segment_watches, segment_follows")
    op.execute("UPDATE journey_versions SET entry_names = '{}' WHERE entry_names = '{segment_entered}'")
