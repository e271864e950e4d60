-- Long work that is done piece by piece, and can be watched, stopped and resumed.

CREATE TABLE jobs (
    app text NOT NULL REFERENCES apps,
    id uuid NOT NULL,
    kind text NOT NULL,
    parameters jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL CHECK (state IN ('running', 'stopped', 'done', 'failed')),
    done bigint NOT NULL DEFAULT 0,
    total bigint,
    cursor jsonb,
    pieces integer NOT NULL DEFAULT 0,
    failures smallint NOT NULL DEFAULT 0,
    result jsonb,
    error text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, id)
);
COMMENT ON COLUMN jobs.id IS 'begins with the time, so that a list by id is a list by age';
COMMENT ON COLUMN jobs.cursor IS 'where the next piece begins, in the words of the kind; written with what the piece wrote';
COMMENT ON COLUMN jobs.pieces IS 'how many pieces are done: of two workers that did the same one, only the first may write it down';
COMMENT ON COLUMN jobs.failures IS 'how often the present piece failed in a row';
COMMENT ON COLUMN jobs.error IS 'why the present piece failed last; empty again when it is done';
CREATE INDEX jobs_running ON jobs (updated_at) WHERE state = 'running';
