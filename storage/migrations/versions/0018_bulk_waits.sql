-- What is bulk waits behind what is not.

ALTER TABLE open_messages ADD COLUMN is_bulk boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN open_messages.is_bulk IS 'a marketing direct send: a one-time code behind a hundred thousand of them is taken first';
CREATE INDEX open_messages_direct ON open_messages (is_bulk, due_at) WHERE kind = 'direct';
