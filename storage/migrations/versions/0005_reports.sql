-- Reports are counted into rows of one hour of entries each, by a lane beside the worker and never by what delivers.
-- An enrollment's id, its messages' ids and its outcomes' keys begin with the moment it started: an hour of them is one range of each table.

CREATE TABLE report_counts (
    app text NOT NULL,
    journey text NOT NULL,
    hour timestamptz NOT NULL,
    version integer NOT NULL,
    split text NOT NULL,
    arm text NOT NULL,
    what text NOT NULL,
    step text NOT NULL,
    detail text NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (app, journey, hour, version, split, arm, what, step, detail)
) WITH (fillfactor = 80);
COMMENT ON TABLE report_counts IS 'what the people who entered within one hour came to; an hour is always counted anew as a whole, so nothing can be lost or doubled';
COMMENT ON COLUMN report_counts.split IS 'empty: everybody; else only those whom this Split puts into `arm`, whether they came so far or not';
COMMENT ON COLUMN report_counts.version IS '0 for refused entries, which belong to no version and to the hour of the refusal';

CREATE TABLE report_hours (
    app text NOT NULL,
    hour timestamptz NOT NULL,
    is_due boolean NOT NULL DEFAULT true,
    goals_due boolean NOT NULL DEFAULT false,
    unknowns integer NOT NULL DEFAULT 0,
    inside integer NOT NULL DEFAULT 0,
    counted_at timestamptz,
    PRIMARY KEY (app, hour)
) WITH (fillfactor = 80);
COMMENT ON COLUMN report_hours.is_due IS 'something of this hour changed after it was counted';
COMMENT ON COLUMN report_hours.goals_due IS 'conversions are to be looked for anew as well: the goal changed, or everything is rebuilt';
COMMENT ON COLUMN report_hours.unknowns IS 'messages that stood at unknown: when open_messages lists another number, one has settled';
CREATE INDEX report_hours_due ON report_hours (hour) WHERE is_due;

CREATE TABLE report_conversions (
    app text NOT NULL,
    enrollment_id uuid NOT NULL,
    event_id text NOT NULL,
    converted_at timestamptz NOT NULL,
    PRIMARY KEY (app, enrollment_id)
);
COMMENT ON TABLE report_conversions IS 'the first event that meets the goal of the live version, within its window from entry';

CREATE TABLE report_goals (
    app text NOT NULL,
    journey text NOT NULL,
    goal jsonb NOT NULL,
    PRIMARY KEY (app, journey)
);
COMMENT ON TABLE report_goals IS 'the goal that report_conversions was filled by; when the live version has another, all of it is counted anew';

CREATE TABLE report_news (
    app text NOT NULL,
    hour timestamptz NOT NULL,
    goals_due boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE report_news IS 'hours in which something changed that no index tells: what providers say later, moves to another version, joins of people, erasure. Rows are only added and taken';

CREATE TABLE report_reading (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    read_until timestamptz,
    events_until bigint NOT NULL DEFAULT 0,
    as_of timestamptz
);
COMMENT ON COLUMN report_reading.read_until IS 'every transaction that wrote a moment before this has ended: nothing older can still appear';
COMMENT ON COLUMN report_reading.as_of IS 'all that was stored by then is in the counts';
INSERT INTO report_reading DEFAULT VALUES;

CREATE FUNCTION hour_of(id uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT to_timestamp((('x' || encode(substr(uuid_send(id), 1, 6), 'hex'))::bit(48)::bigint / 3600000) * 3600)
$$;
COMMENT ON FUNCTION hour_of IS 'the hour (UTC) in the first 48 bits of an id';

CREATE FUNCTION tell_report() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO report_news (app, hour) VALUES (coalesce(NEW.app, OLD.app), hour_of(coalesce(NEW.id, OLD.id)));
    RETURN NULL;
END $$;
CREATE FUNCTION tell_report_of_join() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO report_news (app, hour, goals_due)
    SELECT DISTINCT e.app, hour_of(e.id), true FROM enrollments e WHERE e.app = NEW.app AND e.user_id = NEW.merged_into;
    RETURN NULL;
END $$;
-- Only for columns that no claim and no settling names: a send pays nothing for them.
CREATE TRIGGER messages_tell_report AFTER UPDATE OF delivered_at, bounced_at, complained_at, opened_at, clicked_at, unsubscribed_at ON messages
    FOR EACH ROW WHEN (NEW.journey IS NOT NULL) EXECUTE FUNCTION tell_report();
CREATE TRIGGER enrollments_tell_report AFTER DELETE OR UPDATE OF version ON enrollments FOR EACH ROW EXECUTE FUNCTION tell_report();
CREATE TRIGGER users_tell_report AFTER UPDATE OF merged_into ON users
    FOR EACH ROW WHEN (NEW.merged_into IS NOT NULL) EXECUTE FUNCTION tell_report_of_join();

-- New rows are found by block ranges: an insert pays next to nothing for such an index.
CREATE INDEX step_outcomes_began ON step_outcomes USING brin (began_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX events_seq ON events USING brin (seq) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX refused_entries_refused ON refused_entries (refused_at);
CREATE INDEX enrollments_ended ON enrollments (ended_at) WHERE ended_at IS NOT NULL;

GRANT SELECT ON report_reading TO sojourn_api;
