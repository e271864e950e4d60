-- The accounts through which an app sends. Secrets are sealed before they come here.

CREATE TABLE provider_accounts (
    app text NOT NULL REFERENCES apps,
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp', 'voice', 'push', 'in_app', 'webhook')),
    name text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    provider text NOT NULL,
    place integer NOT NULL DEFAULT 1 CHECK (place > 0),
    settings jsonb NOT NULL DEFAULT '{}',
    secret text[] NOT NULL DEFAULT '{}',
    sealed bytea NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, channel, name)
);
COMMENT ON COLUMN provider_accounts.place IS 'the account with the lowest place of its channel is the one that sends';
COMMENT ON COLUMN provider_accounts.secret IS 'names of the settings that are set and sealed: they are never shown';
