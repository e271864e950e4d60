"""Campaigns that events send: which segments they have followed, and what they have sent; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    run_beside(__file__)
    guard("triggered_sends", "triggered_tallies")


def downgrade() -> None:
    op.execute("DROP TABLE triggered_tallies, triggered_sends")
    op.execute("DROP TRIGGER segments_note_update ON campaigns")
    op.execute("DROP FUNCTION note_campaigns_update()")
    op.execute("COMMENT ON TABLE segment_follows IS 'segments whose members are kept, because a journey listens to who comes and goes'")
