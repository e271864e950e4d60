-- Where the links of messages lead, and who followed them.

CREATE TABLE tracked_links (
    app text NOT NULL REFERENCES apps,
    hash bytea NOT NULL CHECK (length(hash) = 8),
    url text NOT NULL,
    first_sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, hash)
);
COMMENT ON TABLE tracked_links IS 'addresses that stand in a template as they are, one row for any number of messages; never changed, never removed';

CREATE TABLE message_links (
    app text NOT NULL REFERENCES apps,
    message_id uuid NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 8),
    url text NOT NULL,
    PRIMARY KEY (message_id, hash)
);
COMMENT ON TABLE message_links IS 'addresses made for one message, which may say whose it is: they go with the person, or after 400 days';

CREATE TABLE tracking_hits (
    app text NOT NULL REFERENCES apps,
    message_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('open', 'click')),
    hash bytea NOT NULL DEFAULT '',
    machine text NOT NULL DEFAULT '',
    minute timestamptz NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (message_id, kind, hash, machine, minute)
);
COMMENT ON TABLE tracking_hits IS 'opens and clicks as they come, until a worker has judged them a few seconds later: no address, no browser, no person';
COMMENT ON COLUMN tracking_hits.machine IS 'why it was no person, empty where it may have been one';
COMMENT ON COLUMN tracking_hits.minute IS 'the same link again within the minute is one hit, so nobody can write rows without end';
CREATE INDEX tracking_hits_at ON tracking_hits (at);
