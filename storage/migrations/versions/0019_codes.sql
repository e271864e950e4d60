-- What a direct message says may be right for a while only. And codes are counted by everybody to whom they may go.

ALTER TABLE direct_sends ADD COLUMN holds_until timestamptz;
COMMENT ON COLUMN direct_sends.holds_until IS 'later it does not leave, and what may have gone out is never sent once more: a one-time code';

ALTER TABLE one_time_codes ADD COLUMN counted_by bytea[] NOT NULL DEFAULT '{}';
UPDATE one_time_codes SET counted_by = array_remove(ARRAY[whom, prefix], NULL);
CREATE INDEX one_time_codes_counted_by ON one_time_codes USING gin (counted_by);
COMMENT ON COLUMN one_time_codes.counted_by IS
  'keyed hashes of the user, of every address it may go to, and of their neighbourhoods of numbers: limits count by each of them';
COMMENT ON COLUMN one_time_codes.whom IS 'keyed hash of who it is for (user or first address): a new code ends the one before it';
COMMENT ON COLUMN one_time_codes.prefix IS 'written by versions before counted_by only';

ALTER TABLE direct_sends ADD COLUMN answers_keyword boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN direct_sends.answers_keyword IS 'it answers STOP, START or HELP, whatever a STOP has closed';
