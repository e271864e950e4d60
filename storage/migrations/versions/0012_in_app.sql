-- What people see inside the customer's own app, and what their clients tell of it.

CREATE TABLE in_app_feeds (
    app text NOT NULL REFERENCES apps,
    user_id bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (app, user_id),
    FOREIGN KEY (app, user_id) REFERENCES users
);
COMMENT ON TABLE in_app_feeds IS 'one row a person: whoever changes what they see takes the next revision under this row''s lock, so revisions commit in order';

CREATE TABLE in_app_messages (
    app text NOT NULL REFERENCES apps,
    id uuid NOT NULL,
    user_id bigint NOT NULL,
    revision bigint NOT NULL,
    placement text NOT NULL,
    in_inbox boolean NOT NULL,
    priority integer NOT NULL,
    most_shown integer,
    impressions integer NOT NULL DEFAULT 0,
    content jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    dismissed_at timestamptz,
    read_at timestamptz,
    archived_at timestamptz,
    PRIMARY KEY (app, id),
    FOREIGN KEY (app, user_id) REFERENCES users
);
COMMENT ON COLUMN in_app_messages.id IS 'the id of the ledger''s row: sending again is an upsert';
COMMENT ON COLUMN in_app_messages.revision IS 'of the feed, when the row last changed in a way that a client must hear of';
COMMENT ON COLUMN in_app_messages.most_shown IS 'impressions after which it is over; null: no bound';
CREATE INDEX in_app_messages_changed ON in_app_messages (app, user_id, revision, id);
CREATE INDEX in_app_messages_inbox ON in_app_messages (app, user_id, created_at DESC, id DESC) WHERE in_inbox;
CREATE INDEX in_app_messages_expiry ON in_app_messages (expires_at);

CREATE TABLE in_app_events (
    app text NOT NULL REFERENCES apps,
    message_id uuid NOT NULL,
    event_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('impression', 'click', 'dismiss')),
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (app, message_id, event_id),
    FOREIGN KEY (app, message_id) REFERENCES in_app_messages ON DELETE CASCADE
);
COMMENT ON TABLE in_app_events IS 'what clients told, once each: a repeat under the same id counts nothing';
