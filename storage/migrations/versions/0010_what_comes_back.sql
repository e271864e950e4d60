-- What providers and people send back: when the provider took a message, who wrote to us, and the raw events behind it.

ALTER TABLE messages ADD COLUMN accepted_at timestamptz;
COMMENT ON COLUMN messages.accepted_at IS 'when an event of the provider first proved that it has the message, whatever became of it then';
ALTER TABLE endpoints ADD COLUMN replied_at timestamptz;
COMMENT ON COLUMN endpoints.replied_at IS 'when this address last wrote to us: WhatsApp allows free text for 24 hours from here';
ALTER TABLE provider_accounts ADD COLUMN inbound_key text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', '');
COMMENT ON COLUMN provider_accounts.inbound_key IS 'in the address that the provider calls: finds app and account, and cannot be guessed; what is called is verified all the same';
CREATE UNIQUE INDEX provider_accounts_inbound_key ON provider_accounts (inbound_key);

CREATE TABLE provider_events (
    app text NOT NULL REFERENCES apps,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    account text NOT NULL,
    provider text NOT NULL,
    event_id text NOT NULL,
    kind text NOT NULL,
    word text NOT NULL,
    message_id uuid,
    ref text,
    user_id bigint,
    address_hash bytea,
    detail jsonb NOT NULL DEFAULT '{}',
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    parked_until timestamptz,
    failure text,
    raw text NOT NULL,
    PRIMARY KEY (app, seq)
);
COMMENT ON TABLE provider_events IS 'every event of a provider as it came, once (event_ids dedupes), kept 30 days; facts about messages are taken from here';
COMMENT ON COLUMN provider_events.account IS 'channel/name of the account that was called';
COMMENT ON COLUMN provider_events.word IS 'the provider''s own word; kind is ours, and unknown where we have none';
COMMENT ON COLUMN provider_events.parked_until IS 'its message is not known yet: it is looked for until then';
COMMENT ON COLUMN provider_events.failure IS 'why it could not be taken in: set aside, so that its neighbours go on';
CREATE INDEX provider_events_message ON provider_events (app, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX provider_events_user ON provider_events (app, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX provider_events_address ON provider_events (app, address_hash) WHERE address_hash IS NOT NULL;
CREATE INDEX provider_events_parked ON provider_events (parked_until) WHERE parked_until IS NOT NULL;
CREATE INDEX provider_events_received ON provider_events (received_at);

CREATE TABLE unclear_replies (
    app text NOT NULL REFERENCES apps,
    id bigint GENERATED ALWAYS AS IDENTITY,
    user_id bigint NOT NULL,
    channel text NOT NULL,
    body text NOT NULL,
    before jsonb NOT NULL DEFAULT '[]',
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at timestamptz,
    decision text CHECK (decision IN ('leaves', 'stays')),
    decided_by text,
    PRIMARY KEY (app, id)
);
COMMENT ON TABLE unclear_replies IS 'texts that may ask us to stop: marketing on the channel rests until a person has decided';
COMMENT ON COLUMN unclear_replies.before IS 'the consents of the channel that were in force: they are said again when the person stays';
CREATE INDEX unclear_replies_user ON unclear_replies (app, user_id);
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO sojourn_api;
