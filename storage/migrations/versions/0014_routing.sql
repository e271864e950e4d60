-- Several accounts of one channel: which serves what, how fast, and what every worker should know of its trouble.

ALTER TABLE provider_accounts
    ADD COLUMN weight integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 0 AND 1000),
    ADD COLUMN countries text[] NOT NULL DEFAULT '{}',
    ADD COLUMN classes text[] NOT NULL DEFAULT '{}' CHECK (classes <@ ARRAY['marketing', 'transactional']),
    ADD COLUMN per_second float8 CHECK (per_second > 0),
    ADD COLUMN burst integer CHECK (burst > 0),
    ADD COLUMN max_per_day integer CHECK (max_per_day > 0);
COMMENT ON COLUMN provider_accounts.place IS 'the accounts of the lowest place are tried first';
COMMENT ON COLUMN provider_accounts.weight IS 'shares messages among accounts of one place; 0: only what no other one takes';
COMMENT ON COLUMN provider_accounts.countries IS 'two capital letters each; empty: every country, and where nobody knows it';
COMMENT ON COLUMN provider_accounts.classes IS 'empty: both';

ALTER TABLE messages ADD COLUMN account text;
COMMENT ON COLUMN messages.account IS 'the app''s account that was tried last; null: the provider of the installation';
COMMENT ON COLUMN messages.deferred_until IS 'deferred: when its time comes; planned and rate_limited: its slot, which no other message has';

CREATE TABLE account_states (
    app text NOT NULL REFERENCES apps,
    channel text NOT NULL,
    account text NOT NULL,
    away_since timestamptz,
    away_until timestamptz,
    trouble text,
    closed_until timestamptz,
    taken_until timestamptz,
    full_until timestamptz,
    marketing_until timestamptz,
    pace float8 NOT NULL DEFAULT 1 CHECK (pace > 0 AND pace <= 1),
    slowed_at timestamptz,
    day date,
    taken_today integer NOT NULL DEFAULT 0,
    PRIMARY KEY (app, channel, account)
) WITH (fillfactor = 50);
COMMENT ON TABLE account_states IS 'what workers tell each other of an account; deleting a row only makes them find out again';
COMMENT ON COLUMN account_states.account IS 'empty: the provider of the installation, as this app uses it';
COMMENT ON COLUMN account_states.away_until IS 'the breaker is open; who moves this on makes the next probe, and nobody else';
COMMENT ON COLUMN account_states.closed_until IS 'the provider named this time: nothing is sent through the account before';
COMMENT ON COLUMN account_states.taken_until IS 'the slots of transactional messages are given away up to here (virtual scheduling)';
COMMENT ON COLUMN account_states.full_until IS 'up to here they take the whole rate, so marketing begins after it';
COMMENT ON COLUMN account_states.marketing_until IS 'the slots of marketing are given away up to here';
COMMENT ON COLUMN account_states.pace IS 'part of the rate that is used since slowed_at: halved by a throttle, whole again after two minutes';
COMMENT ON COLUMN account_states.trouble IS 'what the provider said last while it was away';
