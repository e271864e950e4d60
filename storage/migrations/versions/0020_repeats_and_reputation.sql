-- A provider that keeps our id: until when a message that may have gone out can be sent again and cannot double.

ALTER TABLE messages ADD COLUMN repeat_until timestamptz;
COMMENT ON COLUMN messages.repeat_until IS
    'it may have gone out through messages.account, whose provider takes a repeat for the same message until then; in no index (HOT)';

-- What receivers say of an account's marketing, by the hour of the event, and what follows from it.

CREATE TABLE account_hours (
    app text NOT NULL REFERENCES apps,
    channel text NOT NULL,
    account text NOT NULL,
    hour timestamptz NOT NULL,
    heard integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    complained integer NOT NULL DEFAULT 0,
    PRIMARY KEY (app, channel, account, hour)
) WITH (fillfactor = 50);
COMMENT ON TABLE account_hours IS 'what providers told of marketing messages: counted as it comes, because the ledger has no index by time';
COMMENT ON COLUMN account_hours.heard IS 'delivered or bounced, whichever way';
COMMENT ON COLUMN account_hours.bounced IS 'for good';

ALTER TABLE account_states
    ADD COLUMN heard integer NOT NULL DEFAULT 0,
    ADD COLUMN bounced integer NOT NULL DEFAULT 0,
    ADD COLUMN complained integer NOT NULL DEFAULT 0,
    ADD COLUMN stopped_for text CHECK (stopped_for IN ('too_many_bounces', 'too_many_complaints')),
    ADD COLUMN stopped_at timestamptz;
COMMENT ON COLUMN account_states.heard IS 'of the last three days, with bounced and complained: the sum of account_hours';
COMMENT ON COLUMN account_states.stopped_for IS 'why no marketing leaves through the account at present';
