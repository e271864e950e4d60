-- What a chunk waits for, so that a run which sends nothing can say why without reading the ledger.

ALTER TABLE campaign_chunks ADD COLUMN waits_for text;
COMMENT ON COLUMN campaign_chunks.waits_for IS 'a reason code: why it is due later; null for what was due when it was planned';
