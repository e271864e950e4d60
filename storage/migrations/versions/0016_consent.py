"""Topics, what people were shown when they agreed, and suppressions under a keyed hash; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import guard, run_beside

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_beside(__file__)
    guard("topics", "consent_texts")


def downgrade() -> None:
    op.execute("ALTER TABLE suppressions DROP COLUMN key_id")
    op.execute("DROP FUNCTION suppression_hashes(bytea), suppression_hash(bytea), suppression_key_id()")
    op.execute("DELETE FROM consents WHERE state = 'pending'")
    op.execute("ALTER TABLE consents DROP CONSTRAINT consents_state_check")
    op.execute("ALTER TABLE consents ADD CONSTRAINT consents_state_check CHECK (state IN ('granted', 'withdrawn'))")
    for column in ("text_hash", "page", "address", "ip", "user_agent", "recorded_by"):
        op.execute(f"ALTER TABLE consents DROP COLUMN {column}")
    op.execute("DROP TABLE topics, consent_texts")
