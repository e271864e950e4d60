-- Ledger rows are updated twice a message, by the fifty: with transition tables every one of them was copied, though hardly any update
-- is about what a segment may ask. Now only the rows that changed so are looked at.

DROP TRIGGER segments_note_update ON messages;
DROP FUNCTION note_messages_update;

CREATE FUNCTION note_messages_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segment_changes (app, user_id, segment)
    SELECT NEW.app, NEW.user_id, w.segment FROM segment_watches w WHERE w.app = NEW.app AND w.about = 'messages';
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_update AFTER UPDATE ON messages FOR EACH ROW
    WHEN (NEW.user_id IS NOT NULL AND (NEW.state = 'sent', NEW.delivered_at, NEW.opened_at, NEW.clicked_at)
        IS DISTINCT FROM (OLD.state = 'sent', OLD.delivered_at, OLD.opened_at, OLD.clicked_at))
    EXECUTE FUNCTION note_messages_update();
