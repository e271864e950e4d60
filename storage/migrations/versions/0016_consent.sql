-- What people can subscribe to, and the record of what they said and what they had been shown.

CREATE TABLE topics (
    app text NOT NULL REFERENCES apps,
    name text NOT NULL CHECK (name <> '' AND left(name, 1) <> '*'),
    title text NOT NULL,
    description text NOT NULL DEFAULT '',
    channels text[] NOT NULL,
    needs_consent boolean NOT NULL DEFAULT false,
    double_opt_in text[] NOT NULL DEFAULT '{}',
    is_required boolean NOT NULL DEFAULT false,
    place integer NOT NULL,
    PRIMARY KEY (app, name)
);
COMMENT ON TABLE topics IS 'what the preference centre offers, in this order; a topic that is not here works all the same';
COMMENT ON COLUMN topics.needs_consent IS 'no marketing on it until they said yes, on channels that would not need it too';
COMMENT ON COLUMN topics.double_opt_in IS 'channels on which a yes counts once it was confirmed from the address itself';
COMMENT ON COLUMN topics.is_required IS 'named in the preference centre without an offer to leave it: for messages about what they do with the app';

CREATE TABLE consent_texts (
    app text NOT NULL REFERENCES apps,
    hash bytea NOT NULL,
    body text NOT NULL,
    first_shown_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, hash)
);
COMMENT ON TABLE consent_texts IS 'what people were shown when they agreed: each wording once, by its SHA-256, however many agreed to it';

ALTER TABLE consents ADD COLUMN text_hash bytea;
ALTER TABLE consents ADD COLUMN page text;
ALTER TABLE consents ADD COLUMN address text;
ALTER TABLE consents ADD COLUMN ip text;
ALTER TABLE consents ADD COLUMN user_agent text;
ALTER TABLE consents ADD COLUMN recorded_by text;
COMMENT ON COLUMN consents.text_hash IS 'the wording that they saw, in consent_texts';
COMMENT ON COLUMN consents.recorded_by IS 'the name of the key that recorded it, or user where they did it themselves on a page of ours';
ALTER TABLE consents DROP CONSTRAINT consents_state_check;
ALTER TABLE consents ADD CONSTRAINT consents_state_check CHECK (state IN ('granted', 'withdrawn', 'pending')) NOT VALID;
COMMENT ON COLUMN consents.state IS 'pending: asked for, and not confirmed from the address yet: no consent, and no marketing either';

-- Suppressions, readable only with a key that is not in the database.

ALTER TABLE suppressions ADD COLUMN key_id text;
COMMENT ON COLUMN suppressions.key_id IS 'under which key address_hash was made; null: plain SHA-256, written before there were keys';

-- The session carries the keys as sojourn.suppression_keys: for each, the newest first, its id and the two padded blocks of HMAC
-- (RFC 2104), in hexadecimal: id:inner:outer, separated by commas. A session without it fails here, because a suppression that cannot
-- be looked up must stop a message, not let it go.
CREATE FUNCTION suppression_key_id() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT split_part(current_setting('sojourn.suppression_keys'), ':', 1)
$$;
CREATE FUNCTION suppression_hash(plain bytea) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(decode(split_part(k.key, ':', 3), 'hex') || sha256(decode(split_part(k.key, ':', 2), 'hex') || plain))
    FROM (SELECT split_part(current_setting('sojourn.suppression_keys'), ',', 1) AS key) AS k
    WHERE 1 / length(k.key) >= 0
$$;
COMMENT ON FUNCTION suppression_hash IS 'HMAC-SHA-256 of an address hash under the newest key: how a suppression is written';
CREATE FUNCTION suppression_hashes(plain bytea) RETURNS bytea[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT array_prepend(plain, array_agg(sha256(decode(split_part(k, ':', 3), 'hex') || sha256(decode(split_part(k, ':', 2), 'hex') || plain))))
    FROM unnest(string_to_array(current_setting('sojourn.suppression_keys'), ',')) AS k
    -- Divides by zero where the setting is empty.
    HAVING 1 / length(current_setting('sojourn.suppression_keys')) >= 0
$$;
COMMENT ON FUNCTION suppression_hashes IS 'every form in which a suppression of this address may stand: plain, and under each key';
