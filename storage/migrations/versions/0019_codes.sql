-- What a direct message says may be right for a while only. And codes are counted by everybody whom they concern.

ALTER TABLE direct_sends ADD COLUMN holds_until timestamptz;
COMMENT ON COLUMN direct_sends.holds_until IS 'later it does not leave, and what may have gone out is never sent once more: a one-time code';
