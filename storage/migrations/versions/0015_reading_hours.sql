-- At which hours of their day the people of an app read.

CREATE TABLE reading_hours (
    app text PRIMARY KEY REFERENCES apps,
    hours double precision[] NOT NULL CHECK (cardinality(hours) = 24),
    counted_until timestamptz NOT NULL
);
COMMENT ON TABLE reading_hours IS 'how many openings and clicks of people fell into each hour on their wall, halved every 30 days: what best_time goes by where a person has read too little';

GRANT SELECT, INSERT, UPDATE, DELETE ON reading_hours TO sojourn_api;
ALTER TABLE reading_hours ENABLE ROW LEVEL SECURITY;
ALTER TABLE reading_hours FORCE ROW LEVEL SECURITY;
CREATE POLICY api_sees_its_app ON reading_hours TO sojourn_api
    USING (app = current_setting('sojourn.app', true)) WITH CHECK (app = current_setting('sojourn.app', true));
DO $$ BEGIN
    EXECUTE format('CREATE POLICY workers_name_the_app ON reading_hours TO %I USING (true) WITH CHECK (true)', current_user);
END $$;
