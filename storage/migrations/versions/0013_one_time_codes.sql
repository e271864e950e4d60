-- Codes that a person types in to show that an address is theirs.

CREATE TABLE one_time_codes (
    app text NOT NULL REFERENCES apps,
    id uuid NOT NULL,
    whom bytea NOT NULL,
    counted_by bytea[] NOT NULL,
    user_id bigint,
    ways jsonb NOT NULL DEFAULT '[]',
    sends smallint NOT NULL DEFAULT 0,
    message_id uuid,
    sent_at timestamptz,
    code_hash bytea,
    length smallint NOT NULL,
    template text,
    data jsonb NOT NULL DEFAULT '{}',
    tries smallint NOT NULL DEFAULT 0,
    verified_at timestamptz,
    expires_at timestamptz NOT NULL,
    due_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, id)
);
COMMENT ON TABLE one_time_codes IS 'each asked-for code for a day: what is typed in is compared with code_hash, at most five times';
COMMENT ON COLUMN one_time_codes.whom IS 'keyed hash of who it is for (user or first address): a new code ends the one before it';
COMMENT ON COLUMN one_time_codes.counted_by IS
  'keyed hashes of the user, of every address it may go to, and of their neighbourhoods of numbers: limits count by each of them';
COMMENT ON COLUMN one_time_codes.ways IS 'channel and address of each way in its order; emptied when the code is over';
COMMENT ON COLUMN one_time_codes.code_hash IS 'keyed hash of id and code; null: the user is not known, and nothing that is typed in is right';
COMMENT ON COLUMN one_time_codes.due_at IS 'when to look whether the message went out, and to send a new code by the next way where it did not';
CREATE INDEX one_time_codes_whom ON one_time_codes (app, whom, created_at);
CREATE INDEX one_time_codes_counted_by ON one_time_codes USING gin (counted_by);
CREATE INDEX one_time_codes_created ON one_time_codes (app, created_at);
CREATE INDEX one_time_codes_due ON one_time_codes (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX one_time_codes_user ON one_time_codes (app, user_id) WHERE user_id IS NOT NULL;
