-- Campaigns: their versions, where each stands, what was done to it by whom, and who won where versions were tested.

CREATE TABLE campaigns (
    app text NOT NULL REFERENCES apps,
    name text NOT NULL,
    live_version integer NOT NULL,
    state text NOT NULL DEFAULT 'draft'
        CHECK (state IN ('draft', 'in_review', 'scheduled', 'running', 'paused', 'stopped', 'finished')),
    launched_version integer,
    launches integer NOT NULL DEFAULT 0,
    next_at timestamptz,
    next_local_at text,
    listens_to text[] NOT NULL DEFAULT '{}',
    submitted_version integer,
    submitted_by text,
    approved_version integer,
    approved_by text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, name)
);
COMMENT ON COLUMN campaigns.live_version IS 'the newest that was published; what is launched next';
COMMENT ON COLUMN campaigns.launched_version IS 'what its runs send, or its events: publishing changes nothing of what is launched';
COMMENT ON COLUMN campaigns.launches IS 'how often it was launched: in the ids of runs, so that two launches are two runs';
COMMENT ON COLUMN campaigns.next_at IS 'when the next run begins; null: none does';
COMMENT ON COLUMN campaigns.next_local_at IS 'what everybody''s own clock shows when that run writes to them; null: it writes at once';
COMMENT ON COLUMN campaigns.listens_to IS 'names of events that send it while it is running';
CREATE INDEX campaigns_due ON campaigns (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE campaign_versions (
    app text NOT NULL,
    campaign text NOT NULL,
    version integer NOT NULL,
    hash text NOT NULL,
    definition text NOT NULL,
    published_by text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, campaign, version),
    UNIQUE (app, campaign, hash),
    FOREIGN KEY (app, campaign) REFERENCES campaigns ON DELETE CASCADE
);
COMMENT ON COLUMN campaign_versions.definition IS 'canonical JSON as text: jsonb would reorder what the hash is over';

CREATE TABLE campaign_acts (
    app text NOT NULL,
    campaign text NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    act text NOT NULL,
    version integer,
    run_id uuid,
    done_by text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, campaign, id),
    FOREIGN KEY (app, campaign) REFERENCES campaigns ON DELETE CASCADE
);
COMMENT ON TABLE campaign_acts IS 'what was done to a campaign, the name of the key that did it, or sojourn where its time had come';

CREATE TABLE campaign_winners (
    app text NOT NULL,
    run_id uuid NOT NULL,
    tested_at timestamptz NOT NULL,
    look_at timestamptz,
    variant text,
    because text NOT NULL,
    decided_at timestamptz,
    PRIMARY KEY (app, run_id),
    FOREIGN KEY (app, run_id) REFERENCES campaign_runs ON DELETE CASCADE
);
COMMENT ON COLUMN campaign_winners.tested_at IS 'when all who get versions had been written to';
COMMENT ON COLUMN campaign_winners.look_at IS 'when to look again; null: decided, or a person must decide';
COMMENT ON COLUMN campaign_winners.variant IS 'what the rest get; null with a decided_at: nothing';
