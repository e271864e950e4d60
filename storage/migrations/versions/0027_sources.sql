-- Sources: outside data that templates look up by a key. What a source is has versions; the rows that Sojourn keeps for one are as they are.

CREATE TABLE sources (
    app text NOT NULL REFERENCES apps,
    name text NOT NULL,
    live_version integer NOT NULL,
    rows_hash text,
    row_count integer NOT NULL DEFAULT 0,
    rows_at timestamptz,
    origin text NOT NULL DEFAULT '',
    secret text[] NOT NULL DEFAULT '{}',
    sealed bytea NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, name)
);
COMMENT ON COLUMN sources.rows_hash IS 'of the rows in source_rows: what an apply compares, and what makes a worker forget the rows it remembers';
COMMENT ON COLUMN sources.origin IS 'scheme, host and port for which the sealed headers were given: they go nowhere else';
COMMENT ON COLUMN sources.secret IS 'the names of the headers in sealed';

CREATE TABLE source_versions (
    app text NOT NULL,
    source text NOT NULL,
    version integer NOT NULL,
    hash text NOT NULL,
    definition text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, source, version),
    UNIQUE (app, source, hash),
    FOREIGN KEY (app, source) REFERENCES sources ON DELETE CASCADE
);
COMMENT ON COLUMN source_versions.definition IS 'canonical JSON as text: jsonb would reorder what the hash is over';

CREATE TABLE source_rows (
    app text NOT NULL,
    source text NOT NULL,
    key text NOT NULL,
    row jsonb NOT NULL,
    PRIMARY KEY (app, source, key),
    FOREIGN KEY (app, source) REFERENCES sources ON DELETE CASCADE
);

CREATE TABLE source_waits (
    app text NOT NULL REFERENCES apps,
    message_id uuid NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, message_id)
);
COMMENT ON TABLE source_waits IS 'since when a message has waited for a source that does not answer; forgotten after four days, which is longer than it may';
CREATE INDEX source_waits_since ON source_waits (since);

ALTER TABLE template_versions ADD COLUMN sources text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN template_versions.sources IS 'the sources that its files ask';
