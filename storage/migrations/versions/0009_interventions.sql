-- What people do by hand to those inside a journey, and whose message is held.

CREATE TABLE interventions (
    app text NOT NULL REFERENCES apps,
    enrollment_id uuid NOT NULL,
    request text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('advance', 'exit', 'move', 'release', 'closed')),
    outcome text NOT NULL CHECK (outcome IN ('done', 'refused')),
    detail jsonb NOT NULL DEFAULT '{}',
    done_by text NOT NULL,
    job_id uuid,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, enrollment_id, request)
);
COMMENT ON TABLE interventions IS 'what was done by hand to an enrollment, by whom and when: part of the story that people read';
COMMENT ON COLUMN interventions.request IS 'one request leaves one row, however often it is carried out again';
COMMENT ON COLUMN interventions.done_by IS 'the name of the key that asked, or of the part of Sojourn that acted';
CREATE INDEX interventions_job ON interventions (app, job_id, outcome) WHERE job_id IS NOT NULL;

CREATE TABLE held_sends (
    app text NOT NULL REFERENCES apps,
    enrollment_id uuid NOT NULL,
    journey text NOT NULL,
    step text NOT NULL,
    visit integer NOT NULL,
    held_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, enrollment_id)
);
COMMENT ON TABLE held_sends IS 'whose next message waits because sending is paused: they are woken from here on resume';
CREATE INDEX held_sends_journey ON held_sends (app, journey, enrollment_id);

-- Lists of one journey, and walks through those who are inside.
CREATE INDEX enrollments_journey ON enrollments (app, journey, id);
CREATE INDEX enrollments_inside ON enrollments (id) WHERE state <> 'closed';
