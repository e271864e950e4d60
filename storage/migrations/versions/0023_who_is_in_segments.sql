-- Who is in those segments that somebody listens to. Whatever changes something about a person leaves a note here, in its own transaction,
-- for the segments that are about it; a lane of the workers (activities/entering.py) reads these segments again for that person alone.

CREATE TABLE segment_follows (
    app text NOT NULL,
    segment text NOT NULL,
    fingerprint text NOT NULL,
    waits_for xid8,
    read_to bigint DEFAULT 0,
    followed_at timestamptz,
    PRIMARY KEY (app, segment),
    FOREIGN KEY (app, segment) REFERENCES segments ON DELETE CASCADE
);
COMMENT ON TABLE segment_follows IS 'segments whose members are kept, because a journey listens to who comes and goes';
COMMENT ON COLUMN segment_follows.fingerprint IS 'of all definitions that it comes to: with another one everybody is read again';
COMMENT ON COLUMN segment_follows.waits_for IS 'the first reading waits until the transactions before this one are over: they left no notes for it';
COMMENT ON COLUMN segment_follows.read_to IS 'the first reading has come to this internal id; null: it is done';
COMMENT ON COLUMN segment_follows.followed_at IS 'when everybody had been read: who comes in from then on is told';

CREATE TABLE segment_watches (
    app text NOT NULL,
    about text NOT NULL,
    segment text NOT NULL,
    PRIMARY KEY (app, about, segment),
    FOREIGN KEY (app, segment) REFERENCES segment_follows ON DELETE CASCADE
);
COMMENT ON COLUMN segment_watches.about IS 'event:<name>, attribute:<first key>, list:<segment>, timezone, identity, endpoints, consents or messages';

CREATE TABLE segment_members (
    app text NOT NULL,
    segment text NOT NULL,
    user_id bigint NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (app, segment, user_id),
    FOREIGN KEY (app, segment) REFERENCES segment_follows ON DELETE CASCADE,
    FOREIGN KEY (app, user_id) REFERENCES users
);
CREATE INDEX segment_members_user ON segment_members (app, user_id);

CREATE TABLE segment_due (
    app text NOT NULL,
    segment text NOT NULL,
    user_id bigint NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (app, segment, user_id),
    FOREIGN KEY (app, segment) REFERENCES segment_follows ON DELETE CASCADE,
    FOREIGN KEY (app, user_id) REFERENCES users
);
COMMENT ON TABLE segment_due IS 'the first moment at which somebody may come in or go out though nothing happens';
CREATE INDEX segment_due_at ON segment_due (due_at);
CREATE INDEX segment_due_user ON segment_due (app, user_id);

CREATE TABLE segment_changes (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app text NOT NULL REFERENCES apps,
    user_id bigint,
    segment text,
    is_history boolean NOT NULL DEFAULT false,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE segment_changes IS 'whom to read again, in which segment (null: in all that are followed); without a user: what there is to follow';
COMMENT ON COLUMN segment_changes.is_history IS 'it came as history: it comes last, and who comes in or goes out by it is not told';
CREATE INDEX segment_changes_order ON segment_changes (is_history, seq) WHERE user_id IS NOT NULL;
CREATE INDEX segment_changes_published ON segment_changes (seq) WHERE user_id IS NULL;
CREATE INDEX segment_changes_user ON segment_changes (app, user_id) WHERE user_id IS NOT NULL;

-- Triggers and not statements of ours: whoever writes, the note is in the same transaction. They see the rows of a statement together.
CREATE FUNCTION comes_as_history() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('sojourn.is_history', true), '') = 'on'
$$;

CREATE FUNCTION note_events_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segment_changes (app, user_id, segment, is_history)
    SELECT DISTINCT c.app, c.user_id, w.segment, comes_as_history() FROM changed c
    JOIN segment_watches w ON w.app = c.app AND w.about = 'event:' || c.name;
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_insert AFTER INSERT ON events REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_events_insert();

CREATE FUNCTION note_users_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segment_changes (app, user_id, is_history)
    SELECT c.app, c.id, comes_as_history() FROM changed c
    WHERE c.merged_into IS NULL AND c.app IN (SELECT app FROM segment_follows);
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_insert AFTER INSERT ON users REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_users_insert();

CREATE FUNCTION note_users_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segment_changes (app, user_id, segment, is_history)
    SELECT DISTINCT c.app, c.id, w.segment, comes_as_history() FROM changed c JOIN was o ON o.app = c.app AND o.id = c.id
    JOIN segment_watches w ON w.app = c.app
    WHERE c.merged_into IS NULL AND CASE
        WHEN w.about LIKE 'attribute:%'
            THEN c.attributes -> substr(w.about, 11) IS DISTINCT FROM o.attributes -> substr(w.about, 11)
        WHEN w.about = 'timezone' THEN c.timezone IS DISTINCT FROM o.timezone
        WHEN w.about = 'identity' THEN c.user_id IS DISTINCT FROM o.user_id
        ELSE false END;
    INSERT INTO segment_changes (app, user_id, is_history)
    SELECT DISTINCT c.app, p.user_id, comes_as_history() FROM changed c JOIN was o ON o.app = c.app AND o.id = c.id
    CROSS JOIN LATERAL (VALUES (c.merged_into), (c.id)) AS p (user_id)
    WHERE c.merged_into IS DISTINCT FROM o.merged_into AND c.merged_into IS NOT NULL AND c.app IN (SELECT app FROM segment_follows);
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_update AFTER UPDATE ON users REFERENCING OLD TABLE AS was NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_users_update();

CREATE FUNCTION note_endpoints_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segment_changes (app, user_id, segment, is_history)
    SELECT DISTINCT c.app, c.user_id, w.segment, comes_as_history() FROM changed c
    JOIN segment_watches w ON w.app = c.app AND w.about = 'endpoints';
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_insert AFTER INSERT ON endpoints REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_endpoints_insert();

CREATE FUNCTION note_endpoints_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- An address that is confirmed again and again changes nothing; of devices the one that was confirmed last is asked.
    INSERT INTO segment_changes (app, user_id, segment, is_history)
    SELECT DISTINCT x.app, p.user_id, w.segment, comes_as_history()
    FROM (SELECT c.app, c.user_id, o.user_id AS user_before FROM changed c JOIN was o ON o.id = c.id
        WHERE (c.user_id, c.channel, c.state, c.device) IS DISTINCT FROM (o.user_id, o.channel, o.state, o.device)
            OR (c.channel = 'push' AND c.confirmed_at IS DISTINCT FROM o.confirmed_at)) AS x
    CROSS JOIN LATERAL (VALUES (x.user_id), (x.user_before)) AS p (user_id)
    JOIN segment_watches w ON w.app = x.app AND w.about = 'endpoints';
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_update AFTER UPDATE ON endpoints REFERENCING OLD TABLE AS was NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_endpoints_update();

CREATE FUNCTION note_endpoints_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segment_changes (app, user_id, segment)
    SELECT DISTINCT c.app, c.user_id, w.segment FROM changed c
    JOIN segment_watches w ON w.app = c.app AND w.about = 'endpoints';
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_delete AFTER DELETE ON endpoints REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_endpoints_delete();

CREATE FUNCTION note_consents_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segment_changes (app, user_id, segment, is_history)
    SELECT DISTINCT c.app, c.user_id, w.segment, comes_as_history() FROM changed c
    JOIN segment_watches w ON w.app = c.app AND w.about = 'consents';
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_insert AFTER INSERT ON consents REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_consents_insert();

CREATE FUNCTION note_messages_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM segment_watches WHERE about = 'messages') THEN
        RETURN NULL;
    END IF;
    INSERT INTO segment_changes (app, user_id, segment)
    SELECT DISTINCT c.app, c.user_id, w.segment FROM changed c JOIN was o ON o.id = c.id
    JOIN segment_watches w ON w.app = c.app AND w.about = 'messages'
    WHERE c.user_id IS NOT NULL AND (c.state = 'sent', c.delivered_at, c.opened_at, c.clicked_at)
        IS DISTINCT FROM (o.state = 'sent', o.delivered_at, o.opened_at, o.clicked_at);
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_update AFTER UPDATE ON messages REFERENCING OLD TABLE AS was NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_messages_update();

CREATE FUNCTION note_listed_people_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segment_changes (app, user_id, segment)
    SELECT DISTINCT c.app, c.user_id, w.segment FROM changed c
    JOIN segment_watches w ON w.app = c.app AND w.about = 'list:' || c.segment;
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_insert AFTER INSERT ON listed_people REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_listed_people_insert();

CREATE FUNCTION note_listed_people_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segment_changes (app, user_id, segment)
    SELECT DISTINCT c.app, c.user_id, w.segment FROM changed c
    JOIN segment_watches w ON w.app = c.app AND w.about = 'list:' || c.segment;
    RETURN NULL;
END $$;
CREATE TRIGGER segments_note_delete AFTER DELETE ON listed_people REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_listed_people_delete();

-- What is published decides what is followed.
DO $$
DECLARE
    what text[];
BEGIN
    FOREACH what SLICE 1 IN ARRAY ARRAY[['segments', 'insert', 'NEW'], ['segments', 'update', 'NEW'], ['segments', 'delete', 'OLD'],
            ['journeys', 'insert', 'NEW'], ['journeys', 'update', 'NEW']] LOOP
        EXECUTE format($f$CREATE FUNCTION %I() RETURNS trigger LANGUAGE plpgsql AS $t$
            BEGIN
                INSERT INTO segment_changes (app) SELECT DISTINCT app FROM changed;
                RETURN NULL;
            END $t$ $f$, 'note_' || what[1] || '_' || what[2]);
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %I REFERENCING %s TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION %I()',
            'segments_note_' || what[2], what[2], what[1], what[3], 'note_' || what[1] || '_' || what[2]);
    END LOOP;
END $$;

-- Journeys that were published before: their entry is the event now.
UPDATE journey_versions SET entry_names = '{segment_entered}'
WHERE entry_names = '{}' AND CAST(definition AS jsonb) #>> '{starts_on,kind}' = 'segment';
INSERT INTO segment_changes (app) SELECT id FROM apps;
