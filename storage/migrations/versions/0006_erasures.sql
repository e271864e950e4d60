-- Removing people for good: the request that stays when they are gone, and which kept answers speak of whom.

CREATE TABLE erasures (
    app text NOT NULL REFERENCES apps,
    id uuid NOT NULL,
    asked_by text NOT NULL,
    removed jsonb NOT NULL DEFAULT '{}',
    workflows jsonb NOT NULL DEFAULT '[]',
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    PRIMARY KEY (app, id)
);
COMMENT ON TABLE erasures IS 'says that somebody was removed, when and by which key, and not who it was';
COMMENT ON COLUMN erasures.removed IS 'how many rows of each table';
COMMENT ON COLUMN erasures.workflows IS '[[workflow id, enrollment id], ...] that Temporal still has; a workflow id names the person, so it is emptied when they are gone';
CREATE INDEX erasures_unfinished ON erasures (requested_at) WHERE finished_at IS NULL;

ALTER TABLE idempotency_keys ADD COLUMN about bytea;
COMMENT ON COLUMN idempotency_keys.about IS 'sha256 over (app, user id) where the request named a user: erasing them forgets the answer';
CREATE INDEX idempotency_keys_about ON idempotency_keys (app, about) WHERE about IS NOT NULL;
