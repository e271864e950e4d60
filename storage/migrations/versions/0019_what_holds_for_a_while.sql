-- What a direct message says may be right for a while only, and may be the answer to a keyword.

ALTER TABLE direct_sends ADD COLUMN holds_until timestamptz, ADD COLUMN answers_keyword boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN direct_sends.holds_until IS 'later it does not leave, and what may have gone out is never sent once more: a one-time code';
COMMENT ON COLUMN direct_sends.answers_keyword IS 'it answers STOP, START or HELP, whatever a STOP has closed';
