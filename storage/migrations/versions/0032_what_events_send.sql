-- A campaign that is sent when somebody comes into a segment, or goes out of one, has it followed from its launch until it is stopped.

COMMENT ON TABLE segment_follows IS 'segments whose members are kept, because a journey or a campaign listens to who comes and goes';

-- A campaign's row changes with each of its runs: only what changes to whom it listens is noted.
CREATE FUNCTION note_campaigns_update() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
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

-- What a campaign on an event has sent. It has no run, so no lane counts for it, and the ledger's rows name a request.

CREATE TABLE triggered_sends (
    app text NOT NULL,
    campaign text NOT NULL,
    launch integer NOT NULL,
    message_id uuid NOT NULL,
    variant text NOT NULL,
    PRIMARY KEY (app, campaign, launch, message_id),
    FOREIGN KEY (app, campaign) REFERENCES campaigns ON DELETE CASCADE
);
COMMENT ON TABLE triggered_sends IS 'messages of campaigns on events, until they are over and tallied';
COMMENT ON COLUMN triggered_sends.launch IS 'campaigns.launches at that time';
COMMENT ON COLUMN triggered_sends.variant IS 'which version of the message; message: the only one';

CREATE TABLE triggered_tallies (
    app text NOT NULL,
    campaign text NOT NULL,
    launch integer NOT NULL,
    variant text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    messages bigint NOT NULL,
    PRIMARY KEY (app, campaign, launch, variant, state, reason),
    FOREIGN KEY (app, campaign) REFERENCES campaigns ON DELETE CASCADE
);
COMMENT ON TABLE triggered_tallies IS 'what messages of campaigns on events came to, once they are over; reason is empty where there is none';
