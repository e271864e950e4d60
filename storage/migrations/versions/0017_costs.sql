-- What a message came to, by the prices that its account had when it was sent. In no index: settling stays HOT.

ALTER TABLE messages ADD COLUMN units integer, ADD COLUMN price numeric, ADD COLUMN currency text;
COMMENT ON COLUMN messages.units IS 'what the provider charges by: segments of a text, calls, WhatsApp messages; null where nothing is counted';
COMMENT ON COLUMN messages.price IS 'for all units together, in currency (ISO 4217); null where the account names no price for the country';
