-- A provider that keeps our id: until when a message that may have gone out can be sent again and cannot double.

ALTER TABLE messages ADD COLUMN repeat_until timestamptz;
COMMENT ON COLUMN messages.repeat_until IS
    'it may have gone out through messages.account, whose provider takes a repeat for the same message until then; in no index (HOT)';
