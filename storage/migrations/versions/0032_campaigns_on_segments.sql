-- A campaign that is sent when somebody comes into a segment, or goes out of one, has it followed from its launch until it is stopped.

COMMENT ON TABLE segment_follows IS 'segments whose members are kept, because a journey or a campaign listens to who comes and goes';

-- A campaign's row changes with each of its runs: only what changes to whom it listens is noted.
CREATE FUNCTION note_campaigns_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segment_changes (app)
    SELECT DISTINCT c.app FROM changed c JOIN was o ON o.app = c.app AND o.name = c.name
    WHERE (c.state, c.launched_version, c.listens_to) IS DISTINCT FROM (o.state, o.launched_version, o.listens_to)
        AND (c.listens_to || o.listens_to) && ARRAY['segment_entered', 'segment_left'];
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_update AFTER UPDATE ON campaigns REFERENCING OLD TABLE AS was NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_campaigns_update();

-- Campaigns that were launched on these events before.
INSERT INTO segment_changes (app) SELECT DISTINCT app FROM campaigns WHERE listens_to && ARRAY['segment_entered', 'segment_left'];
