-- A run of a campaign: the ledger's rows are its messages; a chunk is what a lane takes at once, and is gone when all of it is over.

CREATE TABLE campaign_runs (
    app text NOT NULL REFERENCES apps,
    id uuid NOT NULL,
    campaign text NOT NULL,
    version integer NOT NULL,
    definition text NOT NULL,
    state text NOT NULL CHECK (state IN ('planning', 'running', 'paused', 'stopped', 'finished')),
    repeats uuid,
    began_at timestamptz NOT NULL,
    planned_at timestamptz,
    ended_at timestamptz,
    next_slot_at timestamptz,
    PRIMARY KEY (app, id)
);
COMMENT ON COLUMN campaign_runs.definition IS 'the campaign as it was when the run began, as JSON: edits are for later runs';
COMMENT ON COLUMN campaign_runs.began_at IS 'the time in the ids of its messages; who comes into the segment after planned_at is not written to';
COMMENT ON COLUMN campaign_runs.repeats IS 'the run of which it sends what failed';
COMMENT ON COLUMN campaign_runs.next_slot_at IS 'with a bound on messages a second: when the next chunk may be taken';
CREATE INDEX campaign_runs_campaign ON campaign_runs (app, campaign, began_at DESC);

CREATE TABLE campaign_chunks (
    app text NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    run_id uuid NOT NULL,
    step text NOT NULL,
    message_ids uuid[] NOT NULL,
    due_at timestamptz NOT NULL,
    epoch integer NOT NULL DEFAULT 0,
    PRIMARY KEY (app, id),
    FOREIGN KEY (app, run_id) REFERENCES campaign_runs ON DELETE CASCADE
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE campaign_chunks IS 'messages that are still to be sent, some fifty of one version each; a chunk that is taken is due again when its lease is over';
COMMENT ON COLUMN campaign_chunks.step IS 'messages.step of all of them: which version of the message';
COMMENT ON COLUMN campaign_chunks.epoch IS 'how often it was taken: who took it last, and nobody else, ends it';
CREATE INDEX campaign_chunks_due ON campaign_chunks (app, run_id, due_at, id);

CREATE TABLE campaign_tallies (
    app text NOT NULL,
    run_id uuid NOT NULL,
    step text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    shard smallint NOT NULL,
    messages bigint NOT NULL,
    PRIMARY KEY (app, run_id, step, state, reason, shard),
    FOREIGN KEY (app, run_id) REFERENCES campaign_runs ON DELETE CASCADE
) WITH (fillfactor = 50);
COMMENT ON TABLE campaign_tallies IS 'what a run''s messages came to when they were settled; reason is empty where there is none; shards, so that lanes do not wait for each other';

-- A chunk claims all rows of a page in one transaction: only where every row has room for its next version does that stay HOT.
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'messages'::regclass LOOP
        EXECUTE format('ALTER TABLE %s SET (fillfactor = 50)', part);
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION ensure_partitions(months_ahead integer) RETURNS void LANGUAGE plpgsql AS $$
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
            EXECUTE format('CREATE TABLE %I PARTITION OF messages FOR VALUES FROM (%L) TO (%L) WITH (fillfactor = 50)',
                           'messages_' || suffix, time_floor(first_day), time_floor(next_day));
        END IF;
        IF to_regclass('provider_refs_' || suffix) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF provider_refs FOR VALUES FROM (%L) TO (%L)',
                           'provider_refs_' || suffix, time_floor(first_day), time_floor(next_day));
        END IF;
    END LOOP;
END $$;
