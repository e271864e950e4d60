-- Journeys that people enter at a moment: date(...), each at their own, and schedule(...), everybody of a segment.

CREATE TABLE date_journeys (
    app text NOT NULL,
    journey text NOT NULL,
    version integer NOT NULL,
    known_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    waits_for xid8,
    filled_to bigint NOT NULL DEFAULT 0,
    filled_zone text,
    PRIMARY KEY (app, journey),
    FOREIGN KEY (app, journey) REFERENCES journeys ON DELETE CASCADE
);
COMMENT ON TABLE date_journeys IS 'live journeys that start on date(...), and whether the due times of everybody are written down';
COMMENT ON COLUMN date_journeys.known_at IS 'since when people''s moments count: earlier ones start nothing';
COMMENT ON COLUMN date_journeys.waits_for IS 'who changes people without knowing of this journey began before this transaction: the filling waits for them';
COMMENT ON COLUMN date_journeys.filled_to IS 'people up to this internal id are written down';
COMMENT ON COLUMN date_journeys.filled_zone IS 'the zone of people who have none, as of the filling; null: not filled yet';

CREATE TABLE due_dates (
    app text NOT NULL,
    journey text NOT NULL,
    user_id bigint NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (app, journey, user_id),
    FOREIGN KEY (app, journey) REFERENCES date_journeys ON DELETE CASCADE,
    FOREIGN KEY (app, user_id) REFERENCES users
);
COMMENT ON TABLE due_dates IS 'the next moment at which somebody enters a journey that starts on date(...)';
CREATE INDEX due_dates_due ON due_dates (due_at);
CREATE INDEX due_dates_user ON due_dates (app, user_id);

CREATE TABLE changed_people (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app text NOT NULL REFERENCES apps,
    user_id bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE changed_people IS 'whose due dates must be read again: written with the change, where the app has such a journey';

CREATE TABLE schedules (
    app text NOT NULL,
    journey text NOT NULL,
    entry text NOT NULL,
    struck_until timestamptz NOT NULL DEFAULT clock_timestamp(),
    attended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    made_from text,
    is_gone boolean NOT NULL DEFAULT false,
    PRIMARY KEY (app, journey),
    FOREIGN KEY (app, journey) REFERENCES journeys ON DELETE CASCADE
);
COMMENT ON TABLE schedules IS 'live journeys that start on schedule(...); Temporal has a schedule for each, which the worker makes from this';
COMMENT ON COLUMN schedules.entry IS 'canonical JSON of starts_on';
COMMENT ON COLUMN schedules.struck_until IS 'what struck up to here has its row in schedule_runs';
COMMENT ON COLUMN schedules.attended_at IS 'when a workflow last looked after it';
COMMENT ON COLUMN schedules.made_from IS 'the entry that the schedule at Temporal was made from; empty: one is being made; null: there is none';
COMMENT ON COLUMN schedules.is_gone IS 'the journey does not start by it any more: the schedule at Temporal is deleted, the runs stay to be read';

CREATE TABLE schedule_runs (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app text NOT NULL,
    journey text NOT NULL,
    struck_at timestamptz NOT NULL,
    zones text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('struck', 'running', 'done', 'skipped')),
    reason text CHECK ((reason IS NOT NULL) = (state = 'skipped')),
    people integer NOT NULL DEFAULT 0,
    asked integer NOT NULL DEFAULT 0,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    FOREIGN KEY (app, journey) REFERENCES schedules ON DELETE CASCADE
);
COMMENT ON TABLE schedule_runs IS 'each time that a schedule struck: how many people it is about, and how many of them have been asked to enter';
COMMENT ON COLUMN schedule_runs.zones IS 'where it struck; empty: everywhere';
CREATE INDEX schedule_runs_journey ON schedule_runs (app, journey, n);

CREATE TABLE schedule_people (
    app text NOT NULL,
    run bigint NOT NULL REFERENCES schedule_runs ON DELETE CASCADE,
    user_id bigint NOT NULL,
    PRIMARY KEY (app, run, user_id),
    FOREIGN KEY (app, user_id) REFERENCES users
);
COMMENT ON TABLE schedule_people IS 'who was in the segment when it struck and has not been asked yet';
CREATE INDEX schedule_people_user ON schedule_people (app, user_id);
