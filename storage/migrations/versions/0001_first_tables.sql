-- The first schema. Plain PostgreSQL 15 and later, no extension.
-- Every row belongs to an app. Tables that grow are partitioned by month.

CREATE TABLE apps (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}',
    paused_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN apps.settings IS 'defaults of the app: topic, from, reply_to, postal_address, timezone, quiet_hours, caps';
COMMENT ON COLUMN apps.paused_at IS 'set: nothing of this app leaves; claims answer held';

CREATE TABLE keys (
    app text NOT NULL REFERENCES apps,
    id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('write', 'public', 'secret')),
    name text NOT NULL DEFAULT '',
    secret_hash bytea NOT NULL,
    scopes text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
COMMENT ON COLUMN keys.id IS 'the public part of the key; unique over all apps because it is looked up before the app is known';
COMMENT ON COLUMN keys.secret_hash IS 'SHA-256 of the secret part: 32 random bytes need no slow hash';

-- People ---------------------------------------------------------------------------------------------------------

CREATE TABLE users (
    app text NOT NULL REFERENCES apps,
    id bigint GENERATED ALWAYS AS IDENTITY,
    user_id text,
    attributes jsonb NOT NULL DEFAULT '{}',
    attribute_clock jsonb NOT NULL DEFAULT '{}',
    timezone text,
    locale text,
    merged_into bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, id)
) WITH (fillfactor = 80);
COMMENT ON COLUMN users.user_id IS 'the caller''s id; null while the person is anonymous';
COMMENT ON COLUMN users.attribute_clock IS 'per key [occurred_at in microseconds, event id] of its last change; a key here that attributes lacks is a deletion (tombstone)';
COMMENT ON COLUMN users.merged_into IS 'this person was found to be another: always points to the survivor itself, never to a chain';
CREATE INDEX users_merged ON users (app, merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE identities (
    app text NOT NULL REFERENCES apps,
    kind char(1) NOT NULL CHECK (kind IN ('u', 'a')),
    value text NOT NULL,
    user_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, kind, value),
    FOREIGN KEY (app, user_id) REFERENCES users
);
COMMENT ON COLUMN identities.kind IS 'u: the caller''s user_id; a: an anonymous id. The two are separate name spaces';
CREATE INDEX identities_user ON identities (app, user_id);

CREATE TABLE endpoints (
    app text NOT NULL REFERENCES apps,
    id bigint GENERATED ALWAYS AS IDENTITY,
    user_id bigint NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp', 'voice', 'push', 'in_app', 'webhook')),
    address text NOT NULL,
    address_hash bytea NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'inactive')),
    reason text,
    device jsonb NOT NULL DEFAULT '{}',
    confirmed_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, id),
    FOREIGN KEY (app, user_id) REFERENCES users
);
COMMENT ON COLUMN endpoints.address_hash IS 'sha256 over (app, channel, address), each length-prefixed: joins suppressions';
CREATE UNIQUE INDEX endpoints_address ON endpoints (app, user_id, channel, address_hash);
-- Suppressing an address locks everybody who has it.
CREATE INDEX endpoints_hash ON endpoints (app, channel, address_hash);
-- A device belongs to one person: the token moves to who last confirmed it.
CREATE UNIQUE INDEX endpoints_device ON endpoints (app, address_hash) WHERE channel = 'push';

CREATE TABLE consents (
    app text NOT NULL REFERENCES apps,
    id bigint GENERATED ALWAYS AS IDENTITY,
    user_id bigint NOT NULL,
    channel text NOT NULL,
    topic text NOT NULL,
    state text NOT NULL CHECK (state IN ('granted', 'withdrawn')),
    source text NOT NULL,
    proof jsonb NOT NULL DEFAULT '{}',
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, id)
);
COMMENT ON TABLE consents IS 'append-only record; the newest row of a (user, channel, topic) is what holds. * stands for every channel or topic';
CREATE INDEX consents_user ON consents (app, user_id, channel, topic, id DESC);

CREATE TABLE suppressions (
    app text NOT NULL REFERENCES apps,
    channel text NOT NULL,
    address_hash bytea NOT NULL,
    reason text NOT NULL CHECK (reason IN ('bounce', 'complaint', 'manual', 'provider')),
    source text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, channel, address_hash)
);

-- Events ---------------------------------------------------------------------------------------------------------

CREATE TABLE events (
    app text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    received_at timestamptz NOT NULL,
    user_id bigint NOT NULL,
    event_id text NOT NULL,
    name text NOT NULL,
    properties jsonb NOT NULL DEFAULT '{}',
    context jsonb NOT NULL DEFAULT '{}',
    occurred_at timestamptz NOT NULL,
    is_history boolean NOT NULL DEFAULT false,
    PRIMARY KEY (received_at, seq)
) PARTITION BY RANGE (received_at);
COMMENT ON COLUMN events.seq IS 'arrival number; not commit order';
COMMENT ON COLUMN events.user_id IS 'who it was at arrival; a join moves users.merged_into and never an event';
CREATE INDEX events_user ON events (app, user_id, name, occurred_at);

CREATE TABLE event_ids (
    hash bytea NOT NULL,
    received_at timestamptz NOT NULL,
    body_hash bytea NOT NULL,
    PRIMARY KEY (hash)
) PARTITION BY HASH (hash);
COMMENT ON TABLE event_ids IS 'dedupe of the last 30 days: first 16 bytes of sha256 over (app, event id), each length-prefixed, so the app is inside the hash';
DO $$ BEGIN
    FOR i IN 0..7 LOOP
        EXECUTE format('CREATE TABLE event_ids_%s PARTITION OF event_ids FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
    END LOOP;
END $$;

CREATE TABLE outbox (
    shard smallint NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    app text NOT NULL,
    user_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('event', 'merged')),
    event_received_at timestamptz,
    event_seq bigint,
    enrollment_id uuid,
    failures smallint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shard, seq)
);
COMMENT ON COLUMN outbox.shard IS 'hashint8(user_id) & 63: whole shards are leased, so one user''s events go in order';
COMMENT ON COLUMN outbox.kind IS 'event: tell the journeys of event (event_received_at, event_seq), only that of enrollment_id where it is set; merged: end the workflow of enrollment_id, another one stays';

CREATE TABLE shards (
    shard smallint PRIMARY KEY,
    owner uuid,
    leased_until timestamptz
);
INSERT INTO shards (shard) SELECT generate_series(0, 63);

CREATE TABLE processes (
    id uuid PRIMARY KEY,
    role text NOT NULL,
    functions text[] NOT NULL DEFAULT '{}',
    seen_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE processes IS 'live worker processes: how many share the shards, and which registered functions they announce';

CREATE TABLE quarantine (
    app text NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    user_id bigint NOT NULL,
    kind text NOT NULL,
    event_received_at timestamptz,
    event_seq bigint,
    enrollment_id uuid,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, id)
);
COMMENT ON TABLE quarantine IS 'outbox rows that failed five times for a reason that is not transport; the user''s later events went on';

-- Journeys -------------------------------------------------------------------------------------------------------

CREATE TABLE journeys (
    app text NOT NULL REFERENCES apps,
    name text NOT NULL,
    live_version integer NOT NULL,
    accepts_entries boolean NOT NULL DEFAULT true,
    paused_at timestamptz,
    retired_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, name)
);
CREATE TABLE journey_versions (
    app text NOT NULL,
    journey text NOT NULL,
    version integer NOT NULL,
    hash text NOT NULL,
    definition text NOT NULL,
    entry_names text[] NOT NULL,
    listen_names text[] NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, journey, version),
    UNIQUE (app, journey, hash),
    FOREIGN KEY (app, journey) REFERENCES journeys DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON COLUMN journey_versions.definition IS 'canonical JSON as text: jsonb would reorder what the hash is over';
COMMENT ON COLUMN journey_versions.listen_names IS 'event names that steps and exits_on of this version listen to; what only the goal counts is not among them';

CREATE TABLE enrollments (
    app text NOT NULL,
    id uuid NOT NULL,
    user_id bigint NOT NULL,
    subject text NOT NULL,
    journey text NOT NULL,
    version integer NOT NULL,
    key text NOT NULL DEFAULT '',
    n integer NOT NULL,
    workflow_id text NOT NULL,
    entry_event_id text NOT NULL,
    entry_name text NOT NULL,
    entry_properties jsonb NOT NULL DEFAULT '{}',
    entered_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL CHECK (state IN ('starting', 'open', 'closed')),
    ended_at timestamptz,
    end_reason text,
    end_event_id text,
    PRIMARY KEY (app, id),
    FOREIGN KEY (app, journey, version) REFERENCES journey_versions
) WITH (fillfactor = 80);
COMMENT ON COLUMN enrollments.subject IS 'the user id (or anonymous id) at entry: arms hash it, whoever the person turns out to be later';
COMMENT ON COLUMN enrollments.entered_at IS 'occurred_at of the entry event; started_at is the database''s clock, and the time in the id';
COMMENT ON COLUMN enrollments.end_event_id IS 'the event that ended it: the relay must still tell the workflow when it meets that event again';
CREATE UNIQUE INDEX enrollments_one_open ON enrollments (app, user_id, journey, key) WHERE state <> 'closed';
CREATE UNIQUE INDEX enrollments_once_per_event ON enrollments (app, journey, entry_event_id);
CREATE UNIQUE INDEX enrollments_workflow ON enrollments (app, workflow_id);
CREATE INDEX enrollments_user ON enrollments (app, user_id, journey, key, started_at DESC);
CREATE INDEX enrollments_version ON enrollments (app, journey, version) WHERE state <> 'closed';

CREATE TABLE refused_entries (
    app text NOT NULL,
    journey text NOT NULL,
    event_id text NOT NULL,
    user_id bigint NOT NULL,
    reason text NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, journey, event_id)
);
COMMENT ON TABLE refused_entries IS 'why an entry event started nothing (no_key, too_late, already_in, not_again_yet): the timeline answers from here';
CREATE INDEX refused_entries_user ON refused_entries (app, user_id);

CREATE TABLE step_outcomes (
    app text NOT NULL,
    enrollment_id uuid NOT NULL,
    step text NOT NULL,
    visit integer NOT NULL,
    verdict jsonb NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (enrollment_id, step, visit)
) PARTITION BY RANGE (enrollment_id);
COMMENT ON TABLE step_outcomes IS 'what a step came to, written once: a local activity can run again and would otherwise come out the other way';

-- Templates ------------------------------------------------------------------------------------------------------

CREATE TABLE templates (
    app text NOT NULL REFERENCES apps,
    name text NOT NULL,
    live_version integer NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, name)
);
CREATE TABLE template_versions (
    app text NOT NULL,
    template text NOT NULL,
    version integer NOT NULL,
    hash text NOT NULL,
    files jsonb NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, template, version),
    UNIQUE (app, template, hash),
    FOREIGN KEY (app, template) REFERENCES templates DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON COLUMN template_versions.files IS 'file name -> text, as in journeys/templates/<name>/';

-- The ledger -----------------------------------------------------------------------------------------------------

CREATE TABLE messages (
    id uuid NOT NULL,
    app text NOT NULL,
    user_id bigint,
    endpoint_id bigint,
    address text,
    source text NOT NULL,
    step text NOT NULL,
    visit integer NOT NULL,
    target text NOT NULL,
    journey text,
    channel text NOT NULL,
    message_class text NOT NULL CHECK (message_class IN ('marketing', 'transactional')),
    topic text,
    template text,
    template_version integer,
    state text NOT NULL CHECK (state IN ('planned', 'deferred', 'claimed', 'sent', 'rejected', 'unknown', 'skipped', 'given_up')),
    reason text,
    deferred_until timestamptz,
    claim_epoch integer NOT NULL DEFAULT 0,
    claim_until timestamptz,
    claimed_at timestamptz,
    settled_at timestamptz,
    provider text,
    answer text,
    maybe_doubled boolean NOT NULL DEFAULT false,
    delivered_at timestamptz,
    bounced_at timestamptz,
    complained_at timestamptz,
    opened_at timestamptz,
    clicked_at timestamptz,
    unsubscribed_at timestamptz,
    planned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
COMMENT ON COLUMN messages.state IS 'in no index, partial predicates included: updates must stay HOT';
COMMENT ON COLUMN messages.address IS 'only for a direct send to an address that is no endpoint';
COMMENT ON COLUMN messages.settled_at IS 'when the state last became final or unknown; claimed_at is what caps and WaitFor count from';
CREATE INDEX messages_user ON messages (app, user_id, id);
CREATE INDEX messages_source ON messages (app, source, step, visit);

CREATE TABLE open_messages (
    app text NOT NULL,
    message_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('direct', 'claimed', 'unknown')),
    due_at timestamptz NOT NULL,
    PRIMARY KEY (message_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE open_messages IS 'what still needs somebody: planned direct sends, open claims (due at claim_until) and unknowns; small, so that messages.state needs no index';
CREATE INDEX open_messages_due ON open_messages (due_at);

CREATE TABLE direct_sends (
    app text NOT NULL,
    message_id uuid NOT NULL,
    content jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (message_id)
);
COMMENT ON COLUMN direct_sends.content IS 'what the caller gave: {"template", "data"} or raw content; journeys carry theirs in the workflow';

CREATE TABLE provider_refs (
    app text NOT NULL,
    provider text NOT NULL,
    ref text NOT NULL,
    message_id uuid NOT NULL,
    PRIMARY KEY (message_id, provider, ref)
) PARTITION BY RANGE (message_id);
CREATE INDEX provider_refs_ref ON provider_refs (provider, ref);

CREATE TABLE sandbox_messages (
    app text NOT NULL,
    id uuid NOT NULL,
    channel text NOT NULL,
    recipient text NOT NULL,
    content jsonb NOT NULL,
    sends integer NOT NULL DEFAULT 1,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, id)
);
COMMENT ON COLUMN sandbox_messages.sends IS 'how often the message was handed over: above 1 is a double';
CREATE INDEX sandbox_messages_kept ON sandbox_messages (app, kept_at DESC);

CREATE TABLE idempotency_keys (
    app text NOT NULL REFERENCES apps,
    key text NOT NULL,
    operation text NOT NULL,
    body_hash bytea NOT NULL,
    status smallint NOT NULL,
    answer jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, operation, key)
);

-- Functions ------------------------------------------------------------------------------------------------------

CREATE FUNCTION length_prefixed(VARIADIC parts text[]) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(int4send(octet_length(convert_to(part, 'UTF8'))) || convert_to(part, 'UTF8'), ''::bytea ORDER BY i)
    FROM unnest(parts) WITH ORDINALITY AS p (part, i)
$$;
COMMENT ON FUNCTION length_prefixed IS 'each part as 4 bytes of big-endian length and its UTF-8 bytes: no two lists of parts share a hash';

CREATE FUNCTION time_floor(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT encode(substring(int8send((extract(epoch FROM moment) * 1000)::bigint) FROM 3 FOR 6) || '\x00000000000000000000'::bytea, 'hex')::uuid
$$;
COMMENT ON FUNCTION time_floor IS 'the smallest id whose first 48 bits are this millisecond: bounds of partitions and of scans';

CREATE FUNCTION message_id(began_at timestamptz, app text, source text, step text, visit integer, target text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- RFC 9562 version 8: 48 bits of time, version, 12 bits, variant, 62 bits; what is not time is SHA-256.
    SELECT encode(
        substring(int8send((floor(extract(epoch FROM began_at) * 1000))::bigint) FROM 3 FOR 6)
        || set_byte(substring(digest FROM 1 FOR 2), 0, (get_byte(digest, 0) & 15) | 128)
        || set_byte(substring(digest FROM 3 FOR 8), 0, (get_byte(digest, 2) & 63) | 128), 'hex')::uuid
    FROM (SELECT sha256(length_prefixed(app, source, step, visit::text, target)) AS digest) AS d
$$;

CREATE FUNCTION ensure_partitions(months_ahead integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first_day timestamptz;
    next_day timestamptz;
    suffix text;
BEGIN
    PERFORM pg_advisory_xact_lock(7305201);
    FOR i IN -1..months_ahead LOOP
        first_day := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i)) AT TIME ZONE 'UTC';
        next_day := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i + 1)) AT TIME ZONE 'UTC';
        suffix := to_char(first_day AT TIME ZONE 'UTC', 'YYYYMM');
        IF to_regclass('events_' || suffix) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', 'events_' || suffix, first_day, next_day);
        END IF;
        IF to_regclass('step_outcomes_' || suffix) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF step_outcomes FOR VALUES FROM (%L) TO (%L)',
                           'step_outcomes_' || suffix, time_floor(first_day), time_floor(next_day));
        END IF;
        IF to_regclass('messages_' || suffix) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF messages FOR VALUES FROM (%L) TO (%L) WITH (fillfactor = 70)',
                           'messages_' || suffix, time_floor(first_day), time_floor(next_day));
        END IF;
        IF to_regclass('provider_refs_' || suffix) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF provider_refs FOR VALUES FROM (%L) TO (%L)',
                           'provider_refs_' || suffix, time_floor(first_day), time_floor(next_day));
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION ensure_partitions IS 'makes the monthly partitions from last month to months_ahead; the worker calls it every hour';
SELECT ensure_partitions(3);

-- What falls outside every month must not be refused: a default partition takes it, and doctor names it.
CREATE TABLE events_other PARTITION OF events DEFAULT;
CREATE TABLE step_outcomes_other PARTITION OF step_outcomes DEFAULT;
CREATE TABLE messages_other PARTITION OF messages DEFAULT WITH (fillfactor = 70);
CREATE TABLE provider_refs_other PARTITION OF provider_refs DEFAULT;

-- Isolation of apps ----------------------------------------------------------------------------------------------
-- The API works under this role inside each transaction and sees only the app that the transaction named.

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sojourn_api') THEN
        CREATE ROLE sojourn_api NOLOGIN NOBYPASSRLS;
    END IF;
    EXECUTE format('GRANT sojourn_api TO %I', current_user);
END $$;
GRANT USAGE ON SCHEMA public TO sojourn_api;
GRANT SELECT, INSERT ON event_ids TO sojourn_api;
GRANT SELECT ON processes TO sojourn_api;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO sojourn_api;
DO $$
DECLARE
    name text;
    app_column text;
BEGIN
    FOR name, app_column IN
        SELECT c.relname, a.attname FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND (a.attname = 'app' OR (c.relname = 'apps' AND a.attname = 'id'))
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sojourn_api', name);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY api_sees_its_app ON %I TO sojourn_api
            USING (%I = current_setting('sojourn.app', true)) WITH CHECK (%I = current_setting('sojourn.app', true))$p$, name, app_column, app_column);
        EXECUTE format('CREATE POLICY workers_name_the_app ON %I TO %I USING (true) WITH CHECK (true)', name, current_user);
    END LOOP;
END $$;
