-- Entries by request: an Enter step, or the API, asks that a person enters a journey; the relay decides as for an entry event.

ALTER TABLE outbox ADD COLUMN request jsonb;
COMMENT ON COLUMN outbox.request IS 'kind request: {"journey", "id", "occurred_at", "properties"}; id takes the place of the entry event''s and makes repeats harmless';
ALTER TABLE outbox DROP CONSTRAINT outbox_kind_check;
ALTER TABLE outbox ADD CONSTRAINT outbox_kind_check CHECK (kind IN ('event', 'merged', 'request')) NOT VALID;
COMMENT ON COLUMN outbox.kind IS 'event: tell the journeys of event (event_received_at, event_seq), only that of enrollment_id where it is set; merged: end the workflow of enrollment_id, another one stays; request: let the person into a journey';

ALTER TABLE quarantine ADD COLUMN request jsonb;
