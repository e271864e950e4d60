"""A change of a message leaves its note row by row; the SQL stands in the file beside this one."""

from alembic import op

from storage.migrations.script import run_beside

revision = "0031"
down_revision = "0030"

_OF_A_STATEMENT = """
CREATE FUNCTION note_messages_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segment_changes (app, user_id, segment)
    SELECT DISTINCT c.app, c.user_id, w.segment FROM changed c JOIN was o ON o.id = c.id
    JOIN segment_watches w ON w.app = c.app AND w.about = 'messages'
    WHERE c.user_id IS NOT NULL AND (c.state = 'sent', c.delivered_at, c.opened_at, c.clicked_at)
        IS DISTINCT FROM (o.state = 'sent', o.delivered_at, o.opened_at, o.clicked_at);
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    op.execute("DROP TRIGGER segments_note_update ON messages")
    op.execute("DROP FUNCTION note_messages_update")
    op.execute(_OF_A_STATEMENT)
    op.execute(
        "CREATE TRIGGER segments_note_update AFTER UPDATE ON messages REFERENCING OLD TABLE AS was NEW TABLE AS changed"
        " FOR EACH STATEMENT EXECUTE FUNCTION note_messages_update()"
    )
